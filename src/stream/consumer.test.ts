import type { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { until } from '../../test/support/until.ts'
import { redisIsMissing, startRedis, type RedisServer } from '../../test/support/redis.ts'
import type { Service } from '../platform/service.ts'
import { consumeStream, type StreamEntry } from './consumer.ts'

const STREAM = 'souk.public.orders'
const GROUP = 'settlers'
const MINUTE_MS = 60_000

describe.skipIf(redisIsMissing !== undefined)(`a consumer${redisIsMissing ? ` (${redisIsMissing})` : ''}`, () => {
  let redis: RedisServer
  let client: Redis
  let running: Service[] = []

  beforeEach(async () => {
    redis = await startRedis()
    client = redis.client()
  })
  afterEach(async () => {
    await Promise.all(running.map((service) => service.stop()))
    running = []
    await redis.close()
  })

  async function consume(handle: (entry: StreamEntry) => Promise<void>, consumer = 'one'): Promise<Service> {
    const log = pino({ level: 'silent' })
    const service = consumeStream({ redisUrl: redis.url, stream: STREAM, group: GROUP, consumer, log, handle })
    await service.start()
    running.push(service)
    return service
  }

  const add = (id: string, envelope = JSON.stringify({ payload: { before: null, after: { id }, op: 'c' } })) =>
    client.xadd(STREAM, '*', JSON.stringify({ payload: { id } }), envelope)

  async function pendingCount(): Promise<number> {
    const [count] = (await client.xpending(STREAM, GROUP)) as [number]
    return count
  }

  async function atRest(): Promise<void> {
    await until('nothing is pending or new', async () => {
      const groups = (await client.xinfo('GROUPS', STREAM)) as unknown[][]
      const { lag, pending } = asObject(groups[0] ?? [])
      return lag === 0 && pending === 0
    })
  }

  it('hears what was in the stream before the group was, and what comes, and acknowledges it', async () => {
    const seen: string[] = []
    await add('1')
    await consume(async ({ rowId, change }) => void seen.push(`${change.op} ${rowId}`))
    await add('2')

    await until('both are seen', () => seen.length === 2)
    await atRest()
    expect(seen).toEqual(['c 1', 'c 2'])
  })

  it('begins by what it was given under its name and had not acknowledged', async () => {
    await client.xgroup('CREATE', STREAM, GROUP, '0', 'MKSTREAM')
    for (let n = 0; n < 250; n++) await add(`old ${n}`)
    await client.xreadgroup('GROUP', GROUP, 'one', 'COUNT', 250, 'STREAMS', STREAM, '>')
    await add('new')
    const seen: string[] = []
    await consume(async ({ rowId }) => void seen.push(rowId))

    await until('all are seen', () => seen.length === 251)
    await atRest()
    expect(seen).toEqual([...Array.from({ length: 250 }, (_, n) => `old ${n}`), 'new'])
  })

  it('takes over what another left for a minute, and leaves what another has had for less', async () => {
    await client.xgroup('CREATE', STREAM, GROUP, '0', 'MKSTREAM')
    const [left, held] = [(await add('left'))!, (await add('held'))!]
    await client.xreadgroup('GROUP', GROUP, 'other', 'STREAMS', STREAM, '>')
    await client.call('XCLAIM', STREAM, GROUP, 'other', '0', left, 'IDLE', String(MINUTE_MS + 1_000))
    await client.call('XCLAIM', STREAM, GROUP, 'other', '0', held, 'IDLE', String(MINUTE_MS - 30_000))
    const seen: string[] = []
    await consume(async ({ rowId }) => void seen.push(rowId))

    await until('it is taken over', () => seen.includes('left'))
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(seen).toEqual(['left'])
    expect(await pendingCount()).toBe(1)
  })

  it('tries again what failed, without holding up the others', async () => {
    const seen: string[] = []
    let failures = 2
    await consume(async ({ rowId }) => {
      if (rowId === 'bad' && failures-- > 0) throw new Error('not now')
      seen.push(rowId)
    })
    await add('bad')
    await add('good')

    await until('the good one is seen', () => seen.includes('good'))
    await until('the bad one is seen', () => seen.includes('bad'))
    await atRest()
    expect(seen).toEqual(['good', 'bad'])
  })

  it.each([
    ['no JSON', 'nothing that anybody could read'],
    ['no payload', '{"schema": {}}'],
    ['a payload that is none', '{"payload": [1]}'],
    ['images that are none', '{"payload": {"before": 1, "after": "x", "op": "c"}}'],
    ['the empty text', ''],
  ])('acknowledges and leaves out an entry with %s', async (_what, envelope) => {
    const seen: string[] = []
    await consume(async ({ rowId }) => void seen.push(rowId))
    await add('poison', envelope)
    await client.xadd(STREAM, '*', 'neither', 'of', 'these', 'is a document')
    await add('good')

    await until('the good one is seen', () => seen.includes('good'))
    await atRest()
    expect(seen).toEqual(['good'])
  })

  it('ignores a schema beside the payload, and hears of updates and removals', async () => {
    const seen: StreamEntry[] = []
    await consume(async (entry) => void seen.push(entry))
    const payload = { before: { id: 'x', state: 'A' }, after: null, op: 'd', source: {}, ts_ms: 1, transaction: null }
    await client.xadd(STREAM, '*', '{"schema":{},"payload":{"id":"x"}}', JSON.stringify({ schema: {}, payload }))

    await until('it is seen', () => seen.length === 1)
    expect(seen[0]).toMatchObject({ rowId: 'x', change: { before: { state: 'A' }, after: null, op: 'd' } })
  })

  it('acknowledges pending entries that are gone from the stream', async () => {
    await client.xgroup('CREATE', STREAM, GROUP, '0', 'MKSTREAM')
    const gone = (await add('gone'))!
    await client.xreadgroup('GROUP', GROUP, 'one', 'STREAMS', STREAM, '>')
    await client.xdel(STREAM, gone)
    const seen: string[] = []
    await consume(async ({ rowId }) => void seen.push(rowId))
    await add('here')

    await until('the other is seen', () => seen.length === 1)
    await until('nothing is pending', async () => (await pendingCount()) === 0)
    expect(seen).toEqual(['here'])
  })

  it('goes on after Redis was wiped, stopped and started, and when it was not there at first', async () => {
    await redis.end()
    const seen: string[] = []
    await consume(async ({ rowId }) => void seen.push(rowId))
    await redis.start()
    await add('1')
    await until('the first is seen', () => seen.includes('1'))
    await client.flushall()
    await add('2')
    await until('the second is seen', () => seen.includes('2'))
    await redis.end()
    await redis.start()
    await add('3')
    await until('the third is seen', () => seen.includes('3'))

    expect(seen).toEqual(['1', '2', '3'])
  })

  it('shares the entries of a group with others, each going to one', async () => {
    const seen: string[] = []
    await consume(async ({ rowId }) => void seen.push(rowId), 'one')
    await consume(async ({ rowId }) => void seen.push(rowId), 'two')
    const ids = Array.from({ length: 300 }, (_, n) => `${n}`)
    for (const id of ids) await add(id)

    await until('all are seen', () => seen.length >= 300)
    await atRest()
    expect(seen.toSorted()).toEqual(ids.toSorted())
  })

  it('stops within a second while it waits, and while an entry takes long', async () => {
    const idle = await consume(async () => undefined, 'idle')
    await until('it has joined', async () => (await client.exists(STREAM)) === 1)
    const before = performance.now()
    await idle.stop()
    const busy = await consume(() => new Promise((resolve) => setTimeout(resolve, 5_000)), 'busy')
    await add('long')
    await until('it is at work', async () => (await pendingCount()) === 1)
    const between = performance.now()
    await busy.stop()

    expect(performance.now() - between).toBeLessThan(1_000)
    expect(between - before).toBeLessThan(3_000)
    // Not acknowledged: whoever comes next does it again.
    expect(await pendingCount()).toBe(1)
  })
})

function asObject(pairs: unknown[]): Record<string, unknown> {
  const entries = pairs.flatMap((name, index) => (index % 2 === 0 ? [[String(name), pairs[index + 1]]] : []))
  return Object.fromEntries(entries) as Record<string, unknown>
}
