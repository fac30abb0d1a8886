import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { until } from '../support/until.ts'
import { clientOf, sell } from '../contract/store-client.ts'
import { consume, type StreamConsumer } from '../contract/stream-consumer.ts'
import { redisIsMissing, startRedis, type RedisServer } from '../support/redis.ts'

const root = join(import.meta.dirname, '../..')
const ORDERS = 40

describe.skipIf(redisIsMissing !== undefined)(
  `several processes and a Redis${redisIsMissing ? ` (${redisIsMissing})` : ''}`,
  () => {
    let redis: RedisServer
    let souk: TestApp
    let consumer: StreamConsumer
    const workers: ChildProcess[] = []

    beforeAll(async () => {
      redis = await startRedis({ args: ['--appendonly', 'yes'] })
      souk = await startTestApp({ role: 'api', env: { REDIS_URL: redis.url, PAYMENT_EVENTS: 'stream' } })
      consumer = consume(redis.client())
    })
    afterAll(async () => {
      await Promise.all(workers.map((worker) => end(worker, 'SIGTERM')))
      await consumer.stop()
      await souk.close()
      await redis.close()
    })

    async function startWorker(fault?: string): Promise<ChildProcess> {
      const env = {
        ...process.env,
        DATABASE_URL: souk.databaseUrl,
        DATA_DIR: souk.dataDir,
        SECRET_KEY: 'a secret for tests only',
        REDIS_URL: redis.url,
        PAYMENT_EVENTS: 'stream',
        LOG_LEVEL: 'info',
        LOG_PRETTY: 'false',
        ...(fault === undefined ? {} : { SOUK_FAULT: fault }),
      }
      const worker = spawn(process.execPath, ['--import', 'tsx', join(root, 'src/main.ts'), 'worker'], {
        cwd: root,
        env,
      })
      workers.push(worker)
      let output = ''
      worker.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
      worker.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
      await until(`the worker is ready: ${output}`, () => output.includes('worker is ready'), 90_000)
      return worker
    }

    async function end(worker: ChildProcess, signal: NodeJS.Signals): Promise<void> {
      if (worker.exitCode !== null || worker.signalCode !== null) return
      const exited = once(worker, 'exit')
      worker.kill(signal)
      await exited
    }

    async function buy(customer: TestUser, productId: string): Promise<string> {
      const client = clientOf(souk, customer.headers)
      const placed = await client.post('/api/orders/', { products: [{ id: productId, quantity: 1 }] })
      const { id } = placed.json<{ id: string }>()
      await client.post(`/api/orders/${id}/confirm/`, { payment: { method: 'card' } })
      return id
    }

    /** By entry: the consumer itself may be given one again when Redis goes away before it could acknowledge. */
    const statesOf = (id: string): string[] => {
      const entries = consumer.seen.filter(
        (entry) => entry.stream === 'souk.public.orders' && entry.key.payload.id === id,
      )
      return [...new Map(entries.map((entry) => [entry.entryId, String(entry.payload.after?.state)])).values()]
    }

    it('settles every payment from the stream, and tells of each change once, while publishers and Redis are killed', async () => {
      const [seller, customer] = [await souk.signUp(), await souk.signUp()]
      const productId = await sell(clientOf(souk, seller.headers), { stock: { default: 1_000 } })
      const doomed = await startWorker('stream-after-publish:8')
      const other = await startWorker()
      const ids: string[] = []
      while (ids.length < ORDERS || doomed.signalCode === null) {
        ids.push(await buy(customer, productId))
        if (ids.length === ORDERS / 2) await redis.end('SIGTERM')
        if (ids.length === ORDERS / 2 + 5) await redis.start()
        if (ids.length === 10 * ORDERS) break
        // The other may hold the lease: then it goes, and the doomed one takes over.
        if (ids.length === 2 * ORDERS) await end(other, 'SIGKILL')
      }
      await startWorker()

      // What the killed worker had been given of the stream goes to another one after a minute.
      await until('every payment is settled', () => ids.every((id) => statesOf(id).at(-1) === 'ACCEPTED'), 90_000)
      expect(doomed.signalCode).toBe('SIGKILL')
      const expected = ['PENDING_CONFIRMATION', 'CONFIRMED', 'ACCEPTED']
      expect(ids.map(statesOf)).toEqual(ids.map(() => expected))
    }, 300_000)

    it('names PAYMENT_EVENTS=stream without REDIS_URL as a fault of the settings, and exits with 1', async () => {
      const env = { PATH: process.env.PATH, DATABASE_URL: souk.databaseUrl, PAYMENT_EVENTS: 'stream' }
      const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src/main.ts'), 'worker'], {
        cwd: root,
        env,
      })
      let output = ''
      child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
      const [code] = (await once(child, 'exit')) as [number]

      expect(code).toBe(1)
      expect(output).toContain('PAYMENT_EVENTS=stream needs REDIS_URL')
    })
  },
)
