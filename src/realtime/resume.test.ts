import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { sql } from '../platform/db/sql.ts'
import {
  hiddenThings,
  openClient,
  questions,
  recordNote,
  recordThing,
  recordThings,
  startRig,
  type Frame,
  type Rig,
} from './test-rig.ts'

let database: TestDatabase
let rig: Rig

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 })
  rig = await startRig(database.url)
})

beforeEach(() => hiddenThings.clear())

afterAll(async () => {
  await rig.stop()
  await database.drop()
})

describe('resuming a subscription', () => {
  it('brings the missed changes in order, then caught-up, then what is new', async () => {
    const start = await bookmark(rig)
    await recordThings(rig.db, 1, 3)
    await recordNote(rig.db, 4, ['bob', 'staff'])
    const client = await openClient(rig.url, 'ada')
    await reached(rig, start.since + 4)

    client.send({ action: 'subscribe', topics: ['test.*'], ...start, ref: 'again' })
    await client.next('caught-up')
    await recordThing(rig.db, 5)
    await recordNote(rig.db, 6, ['ada'])
    await client.until(() => client.heard.includes(6))

    expect(client.frames.map(({ type }) => type)).toEqual([
      'subscribed',
      'change',
      'change',
      'change',
      'caught-up',
      'change',
      'change',
    ])
    expect(client.frames[0]).toMatchObject({
      topics: ['test.*'],
      position: start.since,
      epoch: start.epoch,
      ref: 'again',
    })
    expect(client.frames[4]).toEqual({ type: 'caught-up', position: start.since + 4, ref: 'again' })
    expect(client.heard).toEqual([1, 2, 3, 5, 6])
    client.socket.terminate()
  })

  it('misses nothing and repeats nothing over a restart of the server', async () => {
    const first = await startRig(database.url)
    const before = await openClient(first.url, 'ada')
    await before.subscribe(['test.thing.*'])
    await recordThings(rig.db, 1, 20)
    await before.until(() => before.heard.length === 20)
    await first.stop()
    await recordThings(rig.db, 21, 20)
    const second = await startRig(database.url)
    await recordThings(rig.db, 41, 20)

    const last = before.frames.findLast(({ type }) => type === 'change')!
    const after = await openClient(second.url, 'ada')
    await after.subscribe(['test.thing.*'], { since: last.position, epoch: last.epoch })
    await after.next('caught-up')
    await after.until(() => before.heard.length + after.heard.length >= 60)

    expect([...before.heard, ...after.heard]).toEqual(range(1, 60))
    after.socket.terminate()
    await second.stop()
  })

  it('takes up a position that another process has told and this one has yet to reach', async () => {
    const other = await startRig(database.url)
    const client = await openClient(other.url, 'ada')
    await client.subscribe(['test.*'])
    await recordThing(rig.db, 1)
    const { position, epoch } = await client.next('change')

    const here = await openClient(rig.url, 'ada')
    await here.subscribe(['test.*'], { since: position, epoch })
    const caughtUp = await here.next('caught-up')

    expect(caughtUp.position).toBeGreaterThanOrEqual(position)
    expect(here.frames.map(({ type }) => type)).toEqual(['subscribed', 'caught-up'])
    for (const { socket } of [client, here]) socket.terminate()
    await other.stop()
  })

  it('leaves out what the caller may no longer see, and shows it to its owner and staff', async () => {
    const start = await bookmark(rig)
    await recordThing(rig.db, 1)
    await recordThing(rig.db, 2, { subjectId: 'withdrawn' })
    await recordThing(rig.db, 3)
    hiddenThings.add('withdrawn')
    await reached(rig, start.since + 3)

    const clients = await Promise.all(['ada', 'boss/s+staff'].map((token) => openClient(rig.url, token)))
    for (const client of clients) await client.subscribe(['*'], start)
    for (const client of clients) await client.next('caught-up')

    expect(clients.map(({ heard }) => heard)).toEqual([
      [1, 3],
      [1, 2, 3],
    ])
    for (const { socket } of clients) socket.terminate()
  })

  it('does not send twice what two subscriptions of one socket cover', async () => {
    const start = await bookmark(rig)
    await recordThings(rig.db, 1, 5)
    await reached(rig, start.since + 5)
    const client = await openClient(rig.url, 'ada')

    client.send({ action: 'subscribe', topics: ['test.thing.*'], ...start, ref: 'a' })
    client.send({ action: 'subscribe', topics: ['*'], ...start, ref: 'b' })
    await client.until(() => client.frames.filter(({ type }) => type === 'caught-up').length === 2)

    expect(client.heard).toEqual(range(1, 5))
    client.socket.terminate()
  })

  it('replays a topic again when asked for the same topic again', async () => {
    const start = await bookmark(rig)
    const client = await openClient(rig.url, 'ada')
    await client.subscribe(['test.*'])
    await recordThings(rig.db, 1, 2)
    await client.until(() => client.heard.length === 2)

    await client.subscribe(['test.*'], start)
    await client.next('caught-up')

    expect(client.heard).toEqual([1, 2, 1, 2])
    client.socket.terminate()
  })

  it('can unsubscribe and ping while a replay runs', async () => {
    const start = await bookmark(rig)
    await recordThings(rig.db, 1, 3_000)
    await reached(rig, start.since + 3_000)
    const client = await openClient(rig.url, 'ada')

    client.send({ action: 'subscribe', topics: ['test.thing.*'], ...start })
    await client.next('change')
    client.send({ action: 'ping' })
    client.send({ action: 'unsubscribe', topics: ['test.thing.*'] })
    const pong = await client.next('pong')
    await client.next('caught-up')

    const afterwards = client.frames.slice(client.frames.findIndex(({ type }) => type === 'unsubscribed'))
    expect(afterwards.filter(({ type }) => type === 'change')).toEqual([])
    expect(client.heard).toEqual(range(1, client.heard.length))
    expect(pong.position).toBeLessThan(start.since + 3_000)
    client.socket.terminate()
  })
})

describe('a gap', () => {
  it.each([
    ['another epoch', { epoch: 'another' }],
    ['a position beyond the head', { since: 1_000_000_000 }],
  ])('is told for %s, and then the socket is live', async (_what, change) => {
    const start = await bookmark(rig)
    const client = await openClient(rig.url, 'ada')

    client.send({ action: 'subscribe', topics: ['*'], ...start, ...change, ref: 'r' })
    const gap = await client.next('gap')
    await recordThing(rig.db, 7)
    await client.until(() => client.heard.includes(7))

    expect(client.frames.map(({ type }) => type)).toEqual(['subscribed', 'gap', 'change'])
    expect(gap).toMatchObject({ oldest: 1, position: start.since, epoch: start.epoch, ref: 'r' })
    client.socket.terminate()
  })

  it('is told when retention has dropped what was missed, also to who is behind in a replay', async () => {
    const own = await createTestDatabase({ poolSize: 2 })
    const writer = await startRig(own.url)
    await recordThings(writer.db, 1, 100)
    await reached(writer, 100)
    const { epoch } = await bookmark(writer)
    await writer.stop()
    await own.db.run(sql`DELETE FROM changes WHERE position <= 50`)
    await own.db.run(sql`UPDATE change_log SET oldest = 51`)
    const reader = await startRig(own.url)

    const behind = await openClient(reader.url, 'ada')
    await behind.subscribe(['*'], { since: 49, epoch })
    const gap = await behind.next('gap')
    const within = await openClient(reader.url, 'ada')
    await within.subscribe(['*'], { since: 50, epoch })
    await within.next('caught-up')

    expect(gap).toMatchObject({ oldest: 51, position: 100 })
    expect(within.heard).toEqual(range(51, 100))
    for (const { socket } of [behind, within]) socket.terminate()
    await reader.stop()
    await own.drop()
  })

  it('is told to everybody who is live when the log becomes another one', async () => {
    const own = await createTestDatabase({ poolSize: 2 })
    const restored = await startRig(own.url)
    const client = await openClient(restored.url, 'ada')
    await client.subscribe(['*'])

    await own.db.run(sql`UPDATE change_log SET epoch = 'restored'`)
    const gap = await client.next('gap')
    await recordThing(restored.db, 1)
    await client.until(() => client.heard.includes(1))

    expect(gap).toMatchObject({ epoch: 'restored' })
    expect(client.frames.at(-1)).toMatchObject({ epoch: 'restored' })
    client.socket.terminate()
    await restored.stop()
    await own.drop()
  })
})

describe('resuming under continuous writes', () => {
  it('misses nothing, repeats nothing and keeps the order, however often and wherever the connection is cut', async () => {
    // Small memory, so that replays come from the database, from memory reached back into, and from what has just arrived.
    const rigs = [await startRig(database.url, { recentChanges: 64 }), await startRig(database.url)]
    const start = await bookmark(rigs[0]!)
    const total = 1_500
    const writing = write(rig, total)
    const readers = fc.sample(fc.array(fc.nat(120), { minLength: 5, maxLength: 30 }), 12)

    const heard = await Promise.all(readers.map((cuts) => readWithCuts(rigs, start, cuts, total)))
    await writing

    for (const numbers of heard) expect(numbers).toEqual(range(1, total))
    for (const each of rigs) await each.stop()
  }, 60_000)
})

describe('a database that cuts all connections', () => {
  it('costs its listeners nothing', async () => {
    const own = await createTestDatabase({ poolSize: 1 })
    const cut = await startRig(own.url)
    const live = await openClient(cut.url, 'ada')
    await live.subscribe(['*'])
    await recordThings(cut.db, 1, 10)
    await live.until(() => live.heard.length === 10)

    await own.db.run(sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`)
    await recordThings(own.db, 11, 10)
    await live.until(() => live.heard.length === 20)

    expect(live.heard).toEqual(range(1, 20))
    expect(live.frames.some(({ type }) => type === 'gap')).toBe(false)
    live.socket.terminate()
    await cut.stop()
    await own.drop()
  })
})

describe('a storm of reconnecting sockets', () => {
  it('brings a thousand sockets back with a handful of reads of the log', async () => {
    const start = await bookmark(rig)
    await recordThings(rig.db, 1, 100)
    await reached(rig, start.since + 100)
    const fresh = await startRig(database.url)
    const sockets = await Promise.all(Array.from({ length: 1_000 }, (_, n) => openClient(fresh.url, `user${n % 10}`)))
    const statements = fresh.statements.length
    questions.count = 0

    for (const client of sockets) client.send({ action: 'subscribe', topics: ['test.*'], ...start })
    await Promise.all(sockets.map((client) => client.next('caught-up')))

    for (const client of sockets) expect(client.heard.length).toBe(100)
    const reads = fresh.statements.slice(statements).filter((text) => text.includes('read_changes'))
    // Apart from the tail, which looks once a second.
    expect(reads.length).toBeLessThan(20)
    expect(questions.count).toBeLessThan(200)
    for (const { socket } of sockets) socket.terminate()
    await fresh.stop()
  }, 60_000)
})

/** Where the log is now. */
async function bookmark(from: Rig): Promise<{ since: number; epoch: string }> {
  const client = await openClient(from.url, 'bookmark')
  const { position, epoch } = await client.subscribe(['none'])
  client.socket.terminate()
  return { since: position, epoch }
}

async function reached(by: Rig, position: number): Promise<void> {
  await expect.poll(() => by.realtime.stats().position, { timeout: 10_000 }).toBeGreaterThanOrEqual(position)
}

async function write(by: Rig, total: number): Promise<void> {
  for (let n = 1; n <= total;) {
    const count = Math.min(1 + (n % 7), total - n + 1)
    await recordThings(by.db, n, count)
    n += count
  }
}

/** Reads everything from `start` on, cutting the connection after each of these numbers of frames, and reconnecting anywhere. */
async function readWithCuts(
  rigs: Rig[],
  start: { since: number; epoch: string },
  cuts: number[],
  total: number,
): Promise<number[]> {
  const heard: number[] = []
  let from = start
  for (let turn = 0; heard.at(-1) !== total; turn++) {
    const limit = cuts[turn] ?? Number.POSITIVE_INFINITY
    const client = await openClient(rigs[turn % rigs.length]!.url, 'ada')
    client.send({ action: 'subscribe', topics: ['test.thing.*'], ...from })
    await client.until(() => client.heard.length >= limit || client.heard.at(-1) === total)
    client.socket.terminate()
    heard.push(...client.heard)
    const last: Frame | undefined = client.frames.findLast(({ type }) => type === 'change')
    if (last !== undefined) from = { since: last.position, epoch: last.epoch }
  }
  return heard
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
