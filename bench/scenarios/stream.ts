import { spawnSync } from 'node:child_process'

import type { Redis } from 'ioredis'
import { pino } from 'pino'

import { systemClock } from '../../src/platform/clock.ts'
import { createDb, type Db } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { capturedRows } from '../../src/stream/captured-rows.ts'
import { createPublisher } from '../../src/stream/publisher.ts'
import { startRedis, type RedisServer } from '../../test/support/redis.ts'
import { closedLoop, type LoadTarget } from '../support/load.ts'
import { below, ratioOf, type Measurement, type Scenario, type Sizes } from '../support/scenario.ts'
import { latency, median } from '../support/stats.ts'
import { insertUsers, type SampleUser } from '../support/store-users.ts'
import { openWorkbench, type Workbench } from '../support/workbench.ts'

const STREAMS = ['souk.public.products', 'souk.public.stock_levels']
const BATCH = 500
const BUYERS = 16
const LATENCY_ORDERS = 300

/** The change stream: how fast a backlog is published beside bare XADD, how soon an entry comes, and what it costs the placing of orders. */
export const streamScenario: Scenario = {
  name: 'stream',
  async run(sizes) {
    if (spawnSync('redis-server', ['--version']).status !== 0) {
      console.log('stream: left out, redis-server is not installed')
      return []
    }
    const bench = await openWorkbench()
    const redis = await startRedis()
    const databaseUrl = await bench.createDatabase()
    await (await bench.startSouk(databaseUrl)).stop()
    const settings = capturedRows({ redisUrl: redis.url })
    const log = pino({ level: 'silent' })
    const db = createDb({ url: databaseUrl, settings, poolSize: 4, applicationName: 'souk bench', log })
    try {
      const buyers = await db.transaction((tx) => insertUsers(tx, 'buyer', BUYERS))
      const backlog = await measureBacklog(db, redis, buyers[0]!, sizes.isSmoke ? 1_000 : 50_000)
      return [backlog, ...(await measureOrders({ bench, databaseUrl, db, redis, buyers }, sizes))]
    } finally {
      await db.close()
      await redis.close()
      await bench.close()
    }
  },
}

/** Products with a stock row each, in 0.9 kB of JSON, all written before the publisher starts. */
async function measureBacklog(db: Db, redis: RedisServer, owner: SampleUser, count: number): Promise<Measurement> {
  await db.run(sql`
    WITH added AS (
      INSERT INTO products (id, owner_id, title, description, price, state, created, updated)
      SELECT gen_random_uuid(), ${owner.id}::uuid, 'Product ' || n, repeat('words ', 40), n, 'AVAILABLE', now(), now()
      FROM generate_series(1, ${count}::integer) n
      RETURNING id)
    INSERT INTO stock_levels (product_id, variant, quantity) SELECT id, 'default', 1000000 FROM added`)
  const publisher = createPublisher({
    db,
    redisUrl: redis.url,
    config: { changeStream: { prefix: 'souk', maxLength: 1_000_000 } },
    clock: systemClock,
    log: pino({ level: 'silent' }),
    epoch: async () => 'bench',
    onCommit: () => () => undefined,
  })
  const client = redis.client()
  const started = performance.now()
  await publisher.start()
  while ((await client.xlen(STREAMS[1]!)) < count) await new Promise((resolve) => setTimeout(resolve, 10))
  const ours = (2 * count) / ((performance.now() - started) / 1000)
  await publisher.stop()
  const bare = await addBare(client)
  return ratioOf(`entries of a backlog of ${2 * count} row changes`, 'entries/s', ours, bare)
}

/** The same entries, sent by pipelined XADD and nothing else. */
async function addBare(client: Redis): Promise<number> {
  const entries: [stream: string, key: string, envelope: string][] = []
  for (const stream of STREAMS) {
    for (const [, fields] of await client.xrange(stream, '-', '+')) entries.push([stream, fields[0]!, fields[1]!])
  }
  await client.flushall()
  const started = performance.now()
  for (let start = 0; start < entries.length; start += BATCH) {
    const pipeline = client.pipeline()
    for (const [stream, key, envelope] of entries.slice(start, start + BATCH))
      pipeline.xadd(stream, 'MAXLEN', '~', 1_000_000, '*', key, envelope)
    await pipeline.exec()
  }
  return entries.length / ((performance.now() - started) / 1000)
}

interface Shop {
  bench: Workbench
  databaseUrl: string
  db: Db
  redis: RedisServer
  buyers: readonly SampleUser[]
}

/** Orders of two lines one after the other, each until its entry has come; then as many as can be, with the stream and without in turn. */
async function measureOrders(shop: Shop, sizes: Sizes): Promise<Measurement[]> {
  const products = await shop.db.rows<{ id: string }>(sql`SELECT id FROM products LIMIT 1000`)
  const target = (url: string): LoadTarget => ({
    url: `${url}/api/orders/`,
    method: 'POST',
    headers: (n) => ({ ...shop.buyers[n % BUYERS]!.headers, 'content-type': 'application/json' }),
    body: (n) =>
      JSON.stringify({
        products: [2 * n, 2 * n + 1].map((at) => ({ id: products[at % products.length]!.id, quantity: 1 })),
      }),
  })
  /** One server at a time: another one would share the background work. */
  const withServer = async <T>(env: Record<string, string>, work: (url: string) => Promise<T>): Promise<T> => {
    const server = await shop.bench.startSouk(shop.databaseUrl, env)
    try {
      return await work(server.url)
    } finally {
      await server.stop()
    }
  }
  const streaming = { REDIS_URL: shop.redis.url }
  const times = await withServer(streaming, (url) =>
    entryTimes(target(url), shop.redis.client(), sizes.isSmoke ? 20 : LATENCY_ORDERS),
  )
  const ours: number[] = []
  const without: number[] = []
  for (let round = 0; round < sizes.rounds; round++) {
    ours.push(await withServer(streaming, (url) => rateOf(target(url), sizes.seconds)))
    without.push(await withServer({}, (url) => rateOf(target(url), sizes.seconds)))
  }
  const { p50, p99 } = latency(times)
  return [
    below('answer to an order until its entry is read, p50', 'ms', p50, 10),
    below('answer to an order until its entry is read, p99', 'ms', p99, 50),
    ratioOf(
      `orders with the stream, beside orders without, ${BUYERS} connections`,
      'orders/s',
      median(ours),
      median(without),
    ),
  ]
}

async function rateOf(target: LoadTarget, seconds: number): Promise<number> {
  const { perSecond, failures } = await closedLoop(target, BUYERS, seconds)
  if (failures > 0) throw new Error(`${failures} orders failed`)
  return perSecond
}

async function entryTimes(target: LoadTarget, client: Redis, count: number): Promise<number[]> {
  const times: number[] = []
  let last = '$'
  for (let n = 0; n < count; n++) {
    const reading = client.xread('BLOCK', 5_000, 'STREAMS', 'souk.public.orders', last)
    const headers = typeof target.headers === 'function' ? target.headers(n) : {}
    const response = await fetch(target.url, { method: 'POST', headers, body: target.body!(n) })
    if (response.status !== 201) throw new Error(`an order answered ${response.status}: ${await response.text()}`)
    const answered = performance.now()
    const reply = await reading
    if (reply === null) throw new Error('the entry of an order did not come')
    last = reply[0]![1].at(-1)![0]
    times.push(Math.max(0, performance.now() - answered))
  }
  return times
}
