import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { note, startChangeLog, until, type TestLog } from '../../test/support/changes.ts'
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { createDb, type Db, type Tx } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'
import type { Service } from '../platform/service.ts'
import type { Change, Subscriber } from './index.ts'

let database: TestDatabase
let log: TestLog
let number = 0
const started: Service[] = []

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 20 })
  log = await startChangeLog(database.db)
  await database.db.run(sql`
    CREATE TABLE effects (place bigint GENERATED ALWAYS AS IDENTITY, subscriber text, id uuid, key text, text text)`)
  // So that those of the tests are not the first of all.
  await log.changeLog.register([subscriber({ name: 'first' })])
})

afterAll(async () => {
  await log.stop()
  await database.drop()
})

beforeEach(async () => {
  number += 1
  for (const service of started.splice(0)) await service.stop()
})

function textOf(change: Change): string {
  return (change.data as { text: string }).text
}

async function write(tx: Tx, name: string, change: Change): Promise<void> {
  await tx.run(sql`
    INSERT INTO effects (subscriber, id, key, text) VALUES (${name}, ${change.id}, ${change.key}, ${textOf(change)})`)
}

/** Writes a row per change into `effects`; throws for changes whose text is among `poison`. */
function subscriber(options: Partial<Subscriber> & { poison?: Set<string> } = {}): Subscriber {
  const { poison = new Set<string>(), ...rest } = options
  const name = rest.name ?? `test-${number}`
  return {
    name,
    topics: ['test.note.*'],
    mode: 'batch',
    handle: async (tx, changes) => {
      for (const change of changes) {
        if (poison.has(textOf(change))) throw new Error(`cannot handle ${textOf(change)}`)
        await write(tx, name, change)
      }
    },
    ...rest,
  }
}

async function run(...subscribers: Subscriber[]): Promise<void> {
  started.push(await log.run(...subscribers))
}

async function effects(name = `test-${number}`): Promise<string[]> {
  const rows = await database.db.rows<{ text: string }>(
    sql`SELECT text FROM effects WHERE subscriber = ${name} ORDER BY place`,
  )
  return rows.map((row) => row.text)
}

/** Makes what waits for its time due now. */
async function hurry(): Promise<void> {
  await database.db.run(sql`UPDATE parked_changes SET retry_at = now() WHERE retry_at IS NOT NULL`)
}

async function statusOf(name = `test-${number}`) {
  const status = await log.changeLog.status()
  return status.subscribers.find((subscriber) => subscriber.name === name)!
}

it.each(['each', 'batch'] as const)('handles every change of its topics once and in order, mode %s', async (mode) => {
  await run(subscriber({ mode }))
  const texts = Array.from({ length: 450 }, (_, n) => `${n}`)

  for (const text of texts) await note(database.db, text)
  await log.drain()

  expect(await effects()).toEqual(texts)
})

it('gives a subscriber of mode each one change at a time', async () => {
  const sizes: number[] = []
  await run(subscriber({ mode: 'each', handle: async (_tx, changes) => void sizes.push(changes.length) }))

  await Promise.all(['a', 'b', 'c'].map((text) => note(database.db, text)))
  await log.drain()

  expect(sizes).toEqual([1, 1, 1])
})

it('moves the cursor past changes of other topics', async () => {
  await run(subscriber({ topics: ['test.note.erased'] }))

  await note(database.db, 'x')
  await log.drain()

  await until('the cursor is at the head', async () => (await statusOf()).lag === 0)
  expect(await effects()).toEqual([])
})

it('goes on at its cursor after a restart', async () => {
  await run(subscriber())
  await note(database.db, 'before')
  await log.drain()
  await started.pop()!.stop()

  await note(database.db, 'meanwhile')
  await run(subscriber())
  await log.drain()

  expect(await effects()).toEqual(['before', 'meanwhile'])
})

it('starts a subscriber added later at the head, or at the oldest change when it asks for it', async () => {
  await note(database.db, 'earlier')
  await log.drain()

  await run(subscriber({ name: `late-${number}` }), subscriber({ name: `oldest-${number}`, startsAt: 'oldest' }))
  await note(database.db, 'later')
  await log.drain()

  expect(await effects(`late-${number}`)).toEqual(['later'])
  expect((await effects(`oldest-${number}`)).slice(-2)).toEqual(['earlier', 'later'])
})

it('starts the subscribers of a new database at the beginning, whatever was recorded before they ran', async () => {
  const fresh = await createTestDatabase()
  await fresh.db.run(sql`CREATE TABLE effects (subscriber text, id uuid, key text, text text)`)
  const freshLog = await startChangeLog(fresh.db)
  await note(fresh.db, 'the first user')
  await freshLog.drain()

  await freshLog.run(subscriber())
  await freshLog.drain()
  const rows = await fresh.db.rows<{ text: string }>(sql`SELECT text FROM effects`)
  await freshLog.stop()
  await fresh.drop()

  expect(rows).toEqual([{ text: 'the first user' }])
})

it('rolls back the effects of a change that fails, and handles all others of its batch', async () => {
  await run(
    subscriber({
      handle: async (tx, changes) => {
        for (const change of changes) {
          await write(tx, `test-${number}`, change)
          if (textOf(change) === 'bad') throw new Error('too late to refuse')
        }
      },
    }),
  )

  const texts = ['a', 'b', 'bad', 'c', 'd']
  await database.db.transaction(async (tx) => {
    const { recordChanges } = await import('./index.ts')
    const { noteWritten } = await import('../../test/support/changes.ts')
    const common = { topic: noteWritten, actor: null, audience: ['public' as const] }
    await recordChanges(
      tx,
      texts.map((text) => ({ ...common, subjectId: text, data: { text } })),
    )
  })
  await log.drain()

  expect(await effects()).toEqual(['a', 'b', 'c', 'd'])
  expect(await statusOf()).toMatchObject({ lag: 0, retrying: 1, parked: 0 })
})

it('tries a change five times, then parks it and holds back only its own key, in order', async () => {
  const tries: string[] = []
  const poison = new Set(['bad'])
  const inner = subscriber({ poison })
  await run({
    ...inner,
    handle: async (tx, changes) => {
      tries.push(...changes.map(textOf))
      await inner.handle(tx, changes)
    },
  })

  await note(database.db, 'bad', { key: 'k' })
  await log.drain()
  await note(database.db, 'behind 1', { key: 'k' })
  await note(database.db, 'free', { key: 'other' })
  await note(database.db, 'behind 2', { key: 'k' })
  await until('it is given up', async () => {
    await hurry()
    return (await statusOf()).parked === 3
  })
  await log.drain()

  expect(tries.filter((text) => text === 'bad')).toHaveLength(5)
  expect(await effects()).toEqual(['free'])
  const parked = await log.changeLog.listParked(`test-${number}`)
  expect(parked.map((row) => [textOf(row.change), row.attempts, row.error, row.retryAt])).toEqual([
    ['bad', 5, 'cannot handle bad', null],
    ['behind 1', 0, null, null],
    ['behind 2', 0, null, null],
  ])

  poison.clear()
  expect(await log.changeLog.replayParked(`test-${number}`, { key: 'note:k' })).toBe(1)
  await until('nothing is parked', async () => (await statusOf()).parked + (await statusOf()).retrying === 0)
  await note(database.db, 'afterwards', { key: 'k' })
  await log.drain()

  expect(await effects()).toEqual(['free', 'bad', 'behind 1', 'behind 2', 'afterwards'])
})

it('replays the key of one change, and lets go of one that is dropped', async () => {
  const poison = new Set(['bad', 'worse'])
  await run(subscriber({ poison }))
  const bad = await note(database.db, 'bad', { key: 'k1' })
  const worse = await note(database.db, 'worse', { key: 'k2' })
  await log.drain()
  await note(database.db, 'waiting', { key: 'k2' })
  await log.drain()

  poison.delete('bad')
  expect(await log.changeLog.replayParked(`test-${number}`, { id: bad })).toBe(1)
  expect(await log.changeLog.dropParked(`test-${number}`, worse)).toBe(true)
  expect(await log.changeLog.dropParked(`test-${number}`, worse)).toBe(false)
  await until('nothing is parked', async () => (await statusOf()).retrying + (await statusOf()).parked === 0)

  expect((await effects()).toSorted()).toEqual(['bad', 'waiting'])
})

it('tries again after a deadlock without anybody noticing', async () => {
  let deadlocks = 0
  const inner = subscriber()
  await run({
    ...inner,
    handle: async (tx, changes) => {
      if (deadlocks++ < 2) await tx.run(sql`DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$`)
      await inner.handle(tx, changes)
    },
  })

  await note(database.db, 'x')
  await log.drain()

  expect(await effects()).toEqual(['x'])
  expect(await statusOf()).toMatchObject({ retrying: 0, parked: 0 })
})

it('neither parks nor loses a change while the database is out of reach', async () => {
  let cuts = 0
  const inner = subscriber()
  await run({
    ...inner,
    handle: async (tx, changes) => {
      if (cuts++ < 2) await tx.run(sql`SELECT pg_terminate_backend(pg_backend_pid())`)
      await inner.handle(tx, changes)
    },
  })

  await note(database.db, 'x')
  await until('it was handled', async () => (await effects()).length === 1)
  await log.drain()

  expect(cuts).toBe(3)
  expect(await statusOf()).toMatchObject({ retrying: 0, parked: 0, lag: 0 })
})

it('is run by one process at a time, each change once, and taken over from one that stops', async () => {
  const db: Db = createDb({ url: database.url, poolSize: 8, applicationName: 'other', log: pino({ level: 'silent' }) })
  const other = await startChangeLog(db)
  let open = 0
  let most = 0
  const inner = subscriber({ mode: 'each' })
  const watched: Subscriber = {
    ...inner,
    handle: async (tx, changes) => {
      most = Math.max(most, ++open)
      await inner.handle(tx, changes)
      open -= 1
    },
  }
  await run(watched)
  await other.run(watched)

  const texts = Array.from({ length: 100 }, (_, n) => `${n}`)
  for (const text of texts.slice(0, 50)) await note(database.db, text)
  await started.pop()!.stop()
  for (const text of texts.slice(50)) await note(database.db, text)
  await until('all is handled', async () => (await effects()).length >= 100)
  await other.stop()
  await db.close()

  expect(most).toBe(1)
  expect(await effects()).toEqual(texts)
})

it('forgets a subscriber with all that was kept for it', async () => {
  await run(subscriber({ poison: new Set(['bad']) }))
  await note(database.db, 'bad')
  await log.drain()
  await started.pop()!.stop()

  expect(await log.changeLog.forgetSubscriber(`test-${number}`)).toBe(true)

  expect(await statusOf()).toBeUndefined()
  expect(await log.changeLog.listParked(`test-${number}`)).toEqual([])
})

it('refuses two subscribers of one name', () => {
  expect(() => log.changeLog.subscriberServices([subscriber(), subscriber()])).toThrow('same name')
})
