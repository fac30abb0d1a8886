import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'

const WRITERS = 4
const SEQUENCERS = 2
const KEYS = 3
const PARTITION_BYTES = 1_000_000

let database: TestDatabase
let writers: pg.Client[]
let sequencers: pg.Client[]
let reader: pg.Client

beforeAll(async () => {
  database = await createTestDatabase()
  const connect = async (count: number): Promise<pg.Client[]> =>
    Promise.all(Array.from({ length: count }, () => database.db.connect('souk sequencing test')))
  writers = await connect(WRITERS)
  sequencers = await connect(SEQUENCERS)
  reader = (await connect(1))[0]!
})

afterAll(async () => {
  await Promise.all([...writers, ...sequencers, reader].map((client) => client.end()))
  await database.drop()
})

interface Row {
  position: number
  id: string
  key: string
}

/** What one writer has done in its open transaction. */
interface Open {
  recorded: { id: string; key: string }[]
  /** How many were recorded when each savepoint was set. */
  savepoints: number[]
}

/** Follows the log as every reader does: whatever is above its cursor. */
class LogReader {
  cursor = 0
  readonly seen: Row[] = []

  async follow(): Promise<void> {
    const result = await reader.query<Row>(
      'SELECT position, id, key FROM changes WHERE position > $1 ORDER BY position',
      [this.cursor],
    )
    for (const row of result.rows) {
      if (row.position !== this.cursor + 1) throw new Error(`position ${row.position} follows ${this.cursor}`)
      this.cursor = row.position
      this.seen.push(row)
    }
  }
}

/** The outcome a schedule must have, kept beside the database. */
class Model {
  readonly open = new Map<number, Open>()
  readonly committed: { id: string; key: string }[] = []
  /** The writer whose open transaction has the key's row locked. */
  readonly owner = new Map<string, number>()

  release(writer: number): void {
    for (const [key, owner] of this.owner) if (owner === writer) this.owner.delete(key)
    this.open.delete(writer)
  }
}

const INSERT = `INSERT INTO outbox (id, topic, subject_type, subject_id, key, audience, data)
  SELECT gen_random_uuid(), 'test.row.written', 'row', '1', $1, '{public}', '{}' FROM generate_series(1, $2) RETURNING id`

type Write =
  | { do: 'begin' | 'touch' | 'savepoint' | 'rollback-to' | 'commit' | 'abort'; writer: number }
  | { do: 'record'; writer: number; key: string; count: number }
type Step = Write | { do: 'sequence'; by: number; limit: number } | { do: 'read' | 'trim' | 'skip-block' | 'restore' }

const writer = fc.nat(WRITERS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('begin' as const), writer }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('touch' as const), writer }) },
  { weight: 8, arbitrary: recordStep() },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('savepoint' as const, 'rollback-to' as const), writer }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const), writer }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), writer }) },
  { weight: 6, arbitrary: sequenceStep() },
  { weight: 3, arbitrary: fc.constant({ do: 'read' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'trim' as const }, { do: 'skip-block' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restore' as const }) },
)

function recordStep(): fc.Arbitrary<Step> {
  const key = fc.nat(KEYS - 1).map((index) => `row:${index}`)
  return fc.record({ do: fc.constant('record' as const), writer, key, count: fc.integer({ min: 1, max: 4 }) })
}

function sequenceStep(): fc.Arbitrary<Step> {
  const limit = fc.constantFrom(1, 2, 3, 1_000)
  return fc.record({ do: fc.constant('sequence' as const), by: fc.nat(SEQUENCERS - 1), limit })
}

async function take(model: Model, log: LogReader, taken: Step): Promise<void> {
  if ('writer' in taken) await write(model, taken)
  else if (taken.do === 'sequence') await sequence(taken.by, taken.limit)
  else if (taken.do === 'read') await log.follow()
  else if (taken.do === 'trim') await reader.query('SELECT trim_outbox()')
  else if (taken.do === 'skip-block') await reader.query(`SELECT setval('outbox_seq', outbox_last_seq() + 16384)`)
  else await restore(model)
}

async function sequence(by: number, limit: number): Promise<boolean> {
  const result = await sequencers[by]!.query<{ more: boolean }>('SELECT more FROM sequence_changes($1, $2)', [
    limit,
    PARTITION_BYTES,
  ])
  return result.rows[0]!.more
}

/** The next pass finds the log in another place. It waits for open writers, so there is none, as in a database just restored. */
async function restore(model: Model): Promise<void> {
  if (model.open.size > 0) return
  await reader.query(`UPDATE change_log SET identity = 'elsewhere'`)
  await sequence(0, 1)
}

async function write(model: Model, taken: Write): Promise<void> {
  const client = writers[taken.writer]!
  const open = model.open.get(taken.writer)
  if (taken.do === 'begin') {
    if (open !== undefined) return
    await client.query('BEGIN')
    model.open.set(taken.writer, { recorded: [], savepoints: [] })
    return
  }
  if (open === undefined) return
  if (taken.do === 'touch') await client.query('SELECT pg_current_xact_id()')
  if (taken.do === 'record') await record(model, open, taken.writer, taken.key, taken.count)
  if (taken.do === 'savepoint') {
    await client.query(`SAVEPOINT s${open.savepoints.length}`)
    open.savepoints.push(open.recorded.length)
  }
  if (taken.do === 'rollback-to' && open.savepoints.length > 0) {
    open.recorded.length = open.savepoints.pop()!
    await client.query(`ROLLBACK TO SAVEPOINT s${open.savepoints.length}`)
  }
  if (taken.do === 'commit' || taken.do === 'abort') await finish(model, open, taken.writer, taken.do)
}

async function record(model: Model, open: Open, by: number, key: string, count: number): Promise<void> {
  // Stands for the lock on the key's row: a second writer would wait here, so it does not even ask.
  if ((model.owner.get(key) ?? by) !== by) return
  model.owner.set(key, by)
  const result = await writers[by]!.query<{ id: string }>(INSERT, [key, count])
  open.recorded.push(...result.rows.map(({ id }) => ({ id, key })))
}

async function finish(model: Model, open: Open, by: number, how: 'commit' | 'abort'): Promise<void> {
  await writers[by]!.query(how === 'commit' ? 'COMMIT' : 'ROLLBACK')
  if (how === 'commit') model.committed.push(...open.recorded)
  model.release(by)
}

async function settle(model: Model, log: LogReader): Promise<void> {
  for (const [by, open] of model.open) await finish(model, open, by, by % 2 === 0 ? 'commit' : 'abort')
  while (await sequence(0, 1_000)) await log.follow()
  await log.follow()
}

function idsOf(rows: readonly { id: string; key: string }[], key: string): string[] {
  return rows.filter((row) => row.key === key).map((row) => row.id)
}

const log = { cursor: 0 }

async function play(schedule: readonly Step[]): Promise<void> {
  const model = new Model()
  const follower = new LogReader()
  follower.cursor = log.cursor
  try {
    for (const taken of schedule) await take(model, follower, taken)
  } finally {
    await settle(model, follower)
    log.cursor = follower.cursor
  }

  expect(follower.seen.map((row) => row.id).toSorted()).toEqual(model.committed.map((row) => row.id).toSorted())
  for (let key = 0; key < KEYS; key++) {
    expect(idsOf(follower.seen, `row:${key}`)).toEqual(idsOf(model.committed, `row:${key}`))
  }
}

it('gives every committed change one position, none to others, and keeps the order of a key, in 2,000 schedules', async () => {
  const schedules = fc.array(step, { minLength: 10, maxLength: 45 })

  const property = fc.asyncProperty(schedules, play)

  await fc.assert(property, { numRuns: 2_000, endOnFailure: true })
}, 240_000)

it('never makes a reader skip a position while writers, sequencers and a held-open transaction run at once', async () => {
  const until = Date.now() + 5_000
  const held = await database.db.connect('souk held open')
  const follower = new LogReader()
  follower.cursor = log.cursor
  const committed: { id: string; key: string }[] = []
  await held.query('CREATE TABLE IF NOT EXISTS keys (key text PRIMARY KEY)')
  await held.query(`INSERT INTO keys VALUES ('row:0'), ('row:1'), ('row:2') ON CONFLICT DO NOTHING`)
  await held.query('BEGIN')
  const early = await held.query<{ id: string }>(INSERT, ['row:held', 3])

  async function writeOn(client: pg.Client): Promise<void> {
    for (let round = 0; Date.now() < until; round++) {
      const key = `row:${(Math.random() * KEYS) | 0}`
      await client.query('BEGIN')
      if (round % 3 === 0) await client.query('SELECT pg_current_xact_id()')
      await client.query('SELECT FROM keys WHERE key = $1 FOR UPDATE', [key])
      const result = await client.query<{ id: string }>(INSERT, [key, 1 + (round % 3)])
      const isKept = round % 7 !== 0
      // Noted before the lock is given up, so that the list of a key is in commit order.
      if (isKept) committed.push(...result.rows.map(({ id }) => ({ id, key })))
      await client.query(isKept ? 'COMMIT' : 'ROLLBACK')
    }
  }
  async function sequenceOn(by: number): Promise<void> {
    while (Date.now() < until) await sequence(by, by === 0 ? 5 : 1_000)
  }
  async function readOn(): Promise<void> {
    while (Date.now() < until) await follower.follow()
  }
  await Promise.all([...writers.map(writeOn), ...sequencers.map((_client, by) => sequenceOn(by)), readOn()])
  await held.query('COMMIT')
  await held.end()
  while (await sequence(0, 1_000)) await follower.follow()
  await follower.follow()

  const heldIds = early.rows.map((row) => row.id)
  expect(follower.seen.length).toBeGreaterThan(1_000)
  expect(follower.seen.map((row) => row.id).toSorted()).toEqual(
    [...heldIds, ...committed.map((row) => row.id)].toSorted(),
  )
  expect(idsOf(follower.seen, 'row:held')).toEqual(heldIds)
  for (let key = 0; key < KEYS; key++) {
    expect(idsOf(follower.seen, `row:${key}`)).toEqual(idsOf(committed, `row:${key}`))
  }
}, 60_000)
