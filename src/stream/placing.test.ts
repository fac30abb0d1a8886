import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { sql } from '../platform/db/sql.ts'
import { capturedRows } from './captured-rows.ts'

const WRITERS = 4
const ROWS = 3

let database: TestDatabase
let writers: pg.Client[]
let placers: pg.Client[]
let admin: pg.Client

beforeAll(async () => {
  database = await createTestDatabase({ settings: capturedRows({ redisUrl: 'redis://127.0.0.1' }) })
  const connect = async (count: number): Promise<pg.Client[]> =>
    Promise.all(Array.from({ length: count }, () => database.db.connect('souk placing test')))
  writers = await connect(WRITERS)
  placers = await connect(2)
  admin = (await connect(1))[0]!
  for (let row = 0; row < ROWS; row++) {
    await admin.query(
      `INSERT INTO tags (id, name, description, name_key, name_folded, created, updated) VALUES ($1, $2, 'new', $2, $2, now(), now())`,
      [idOf(row), `tag ${row}`],
    )
  }
})

afterEach(() => Promise.all(writers.map((writer) => writer.query('ROLLBACK').catch(() => undefined))))

afterAll(async () => {
  await Promise.all([...writers, ...placers, admin].map((client) => client.end()))
  await database.drop()
})

function idOf(row: number): string {
  return `00000000-0000-7000-8000-00000000000${row}`
}

/** Makes every text another one: a row written as it was is no change. */
let written = 0

interface Change {
  row: number
  text: string
}

interface Open {
  changes: Change[]
  /** How many there were when each savepoint was set. */
  savepoints: number[]
}

/** The outcome a schedule must have, kept beside the database. */
class Model {
  readonly open = new Map<number, Open>()
  readonly committed: Change[] = []
  /** The writer whose open transaction has the row locked. */
  readonly owner = new Map<number, number>()

  end(writer: number): void {
    for (const [row, owner] of this.owner) if (owner === writer) this.owner.delete(row)
    this.open.delete(writer)
  }
}

type Write =
  | { do: 'begin' | 'touch' | 'savepoint' | 'rollback-to' | 'commit' | 'abort'; writer: number }
  | { do: 'change'; writer: number; row: number }
type Step = Write | { do: 'place'; by: number } | { do: 'restore' }

const writer = fc.nat(WRITERS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('begin' as const), writer }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('touch' as const), writer }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('change' as const), writer, row: fc.nat(ROWS - 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('savepoint' as const, 'rollback-to' as const), writer }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const), writer }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), writer }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('place' as const), by: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restore' as const }) },
)

async function take(model: Model, taken: Step): Promise<void> {
  if ('writer' in taken) await write(model, taken)
  else if (taken.do === 'place') await placers[taken.by]!.query('SELECT head FROM place_row_changes()')
  else if (model.open.size === 0) await restore()
}

/** As a dump restored elsewhere looks: the transaction ids are those of a cluster that was far ahead. */
async function restore(): Promise<void> {
  await admin.query(`UPDATE row_change_home SET identity = 'another cluster'`)
  await admin.query(`UPDATE row_changes SET xid = (xid::text::bigint + 1000000000)::text::xid8`)
  await admin.query(`UPDATE row_change_passes SET taken = '2000000000:2000000000:'`)
  // Before anybody writes: what the first pass does there waits for open transactions.
  await place()
}

async function write(model: Model, taken: Write): Promise<void> {
  const client = writers[taken.writer]!
  const open = model.open.get(taken.writer)
  if (taken.do === 'begin') {
    if (open !== undefined) return
    await client.query('BEGIN')
    model.open.set(taken.writer, { changes: [], savepoints: [] })
  } else if (open === undefined) return
  else if (taken.do === 'touch') await client.query('SELECT pg_current_xact_id()')
  else if (taken.do === 'change') await change(model, open, taken)
  else if (taken.do === 'savepoint') {
    open.savepoints.push(open.changes.length)
    await client.query(`SAVEPOINT s${open.savepoints.length}`)
  } else if (taken.do === 'rollback-to') await rollBackTo(client, open)
  else {
    await client.query(taken.do === 'commit' ? 'COMMIT' : 'ROLLBACK')
    if (taken.do === 'commit') model.committed.push(...open.changes)
    model.end(taken.writer)
  }
}

async function change(model: Model, open: Open, { writer: by, row }: { writer: number; row: number }): Promise<void> {
  if ((model.owner.get(row) ?? by) !== by) return
  const text = `change ${++written}`
  await writers[by]!.query('UPDATE tags SET description = $2 WHERE id = $1', [idOf(row), text])
  model.owner.set(row, by)
  open.changes.push({ row, text })
}

/** Row locks taken since are let go, but the model keeps them: that only forbids schedules. */
async function rollBackTo(client: pg.Client, open: Open): Promise<void> {
  const count = open.savepoints.at(-1)
  if (count === undefined) return
  await client.query(`ROLLBACK TO SAVEPOINT s${open.savepoints.length}`)
  open.changes.length = count
}

interface Placed {
  position: number
  row_id: string
  after: string
}

async function placedAfter(position: number): Promise<Placed[]> {
  const result = await admin.query<Placed>(
    'SELECT position, row_id, after FROM read_row_changes($1, 100000, 1000000000)',
    [position],
  )
  return result.rows
}

async function place(): Promise<number> {
  const result = await admin.query<{ head: number }>('SELECT head FROM place_row_changes()')
  return result.rows[0]!.head
}

/** What was placed of each row by a schedule, and what should have been. */
async function follow(steps: readonly Step[]): Promise<{ placed: string[][]; committed: string[][] }> {
  const before = await place()
  const model = new Model()
  for (const taken of steps) await take(model, taken)
  for (const [by] of model.open) await write(model, { do: 'commit', writer: by })
  await place()

  const placed = await placedAfter(before)
  placed.forEach((one, index) => {
    if (one.position !== before + 1 + index) throw new Error(`position ${one.position} is out of line`)
  })
  const rows = Array.from({ length: ROWS }, (_, row) => row)
  return {
    placed: rows.map((row) => placed.filter((one) => one.row_id === idOf(row)).map(textOf)),
    committed: rows.map((row) => model.committed.filter((one) => one.row === row).map((one) => one.text)),
  }
}

function textOf(placed: Placed): string {
  return (JSON.parse(placed.after) as { description: string }).description
}

it('places every committed change of a row once and in order, whatever commits when', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), async (steps) => {
      const { placed, committed } = await follow(steps)
      expect(placed).toEqual(committed)
    }),
    { numRuns: 150 },
  )
}, 120_000)

it('places what is committed meanwhile while another transaction is held open, and that one when it commits', async () => {
  const before = await place()
  const [held, other] = writers as [pg.Client, pg.Client]
  await held.query('BEGIN')
  await held.query(`UPDATE tags SET description = 'late' WHERE id = $1`, [idOf(0)])
  for (let n = 0; n < 20; n++) {
    await other.query('UPDATE tags SET description = $2 WHERE id = $1', [idOf(1), `early ${n}`])
    expect(await place()).toBe(before + n + 1)
  }
  await held.query('COMMIT')

  expect(await place()).toBe(before + 21)
  expect((await placedAfter(before + 20))[0]!.row_id).toBe(idOf(0))
})

it('does not look through what has its place already', async () => {
  await admin.query(`
    INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
    SELECT gen_random_uuid(), n, n, n, n, now(), now() FROM (SELECT 'many ' || generate_series(1, 20000) AS n) names`)
  await place()
  await admin.query(`UPDATE tags SET description = 'one more' WHERE id = $1`, [idOf(0)])
  // One that has not counted anything yet.
  const client = await database.db.connect('souk placing test')
  await client.query('BEGIN')
  const pass = await client.query<{ placed: number }>('SELECT placed FROM place_row_changes()')
  const looked = await client.query<{ rows: number }>(
    `SELECT (seq_tup_read + idx_tup_fetch)::bigint AS rows FROM pg_stat_xact_user_tables WHERE relname = 'row_changes'`,
  )
  await client.query('COMMIT')
  await client.end()

  expect(pass.rows[0]!.placed).toBe(1)
  expect(looked.rows[0]!.rows).toBeLessThan(10)
})

it('captures nothing on the connections of a process without Redis', async () => {
  const before = await place()
  const plain = await createTestDatabase()
  await plain.db.run(sql`
    INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
    VALUES (gen_random_uuid(), 'n', 'd', 'n', 'n', now(), now())`)
  const kept = await plain.db.row(sql`SELECT count(*) AS count FROM row_changes`)
  await plain.drop()

  expect(kept).toEqual({ count: 0 })
  expect(await place()).toBe(before)
})
