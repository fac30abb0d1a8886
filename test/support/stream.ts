import type { Redis } from 'ioredis'
import { pino } from 'pino'

import { createTestDatabase, type TestDatabase } from './database.ts'
import { startRedis, type RedisServer } from './redis.ts'
import { systemClock } from '../../src/platform/clock.ts'
import type { Db } from '../../src/platform/db/db.ts'
import { newId } from '../../src/platform/ids.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { capturedRows } from '../../src/stream/captured-rows.ts'
import { createPublisher, type Publisher } from '../../src/stream/publisher.ts'

export const TAGS = 'souk.public.tags'

/** What a stream tells of a row: its id and the number written last. */
export interface Told {
  rowId: string
  number: number
}

/** A database with rows to change, a Redis, and publishers between them. */
export interface StreamRig {
  db: Db
  redis: RedisServer
  client: Redis
  publish(options?: { epoch?: string }): Promise<Publisher>
  /** Writes the next number to a new row, or to one that is there. */
  write(rowId?: string): Promise<string>
  /** Numbers written and committed so far. */
  readonly written: number
  /** Everything that is in the stream of the tags now, in order. */
  told(): Promise<Told[]>
  close(): Promise<void>
}

export async function openRig(options: { redisArgs?: readonly string[]; maxLength?: number } = {}): Promise<StreamRig> {
  const redis = await startRedis({ args: options.redisArgs ?? [] })
  const database: TestDatabase = await createTestDatabase({ settings: capturedRows({ redisUrl: redis.url }) })
  const { db } = database
  const client = redis.client()
  const publishers: Publisher[] = []
  let written = 0

  return {
    db,
    redis,
    client,
    publish: async ({ epoch = 'one-1' } = {}) => {
      const publisher = createPublisher({
        db,
        redisUrl: redis.url,
        config: { changeStream: { prefix: 'souk', maxLength: options.maxLength ?? 100_000 } },
        clock: systemClock,
        log: pino({ level: 'silent' }),
        epoch: async () => epoch,
        onCommit: () => () => undefined,
      })
      publishers.push(publisher)
      await publisher.start()
      return publisher
    },
    write: async (rowId = newId()) => {
      const text = String(++written)
      await db.run(sql`
        INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
        VALUES (${rowId}, ${rowId}, ${text}, ${rowId}, 'n', now(), now())
        ON CONFLICT (id) DO UPDATE SET description = excluded.description`)
      return rowId
    },
    get written() {
      return written
    },
    told: async () => (await client.xrange(TAGS, '-', '+')).map(([, fields]) => toldBy(fields)),
    close: async () => {
      await Promise.all(publishers.map((publisher) => publisher.stop()))
      await database.drop()
      await redis.close()
    },
  }
}

/** What an entry tells, read as the contract says. */
export function toldBy(fields: readonly string[]): Told {
  const { payload } = JSON.parse(fields[1]!) as { payload: { after: { id: string; description: string } } }
  return { rowId: payload.after.id, number: Number(payload.after.description) }
}

/** Each row's numbers in order, each only where it was told first. */
export function firstTold(told: readonly Told[]): Map<string, number[]> {
  const rows = new Map<string, number[]>()
  for (const { rowId, number } of told) {
    const numbers = rows.get(rowId) ?? []
    if (!numbers.includes(number)) numbers.push(number)
    rows.set(rowId, numbers)
  }
  return rows
}
