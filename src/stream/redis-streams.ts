import type { Redis } from 'ioredis'

import { openRedis } from '../platform/redis.ts'
import type { Entry } from './envelope.ts'

/** How far the streams in Redis are; kept there, and written together with the entries. Empty: nowhere. */
export type Marker = string

/**
 * `published`: the entries are there and the marker is the next one. `moved`: the marker was not the one expected, nothing was written.
 * `held`: another publisher is at work.
 */
export type Outcome = { result: 'published' | 'held' } | { result: 'moved'; marker: Marker }

export interface Batch {
  entries: readonly Entry[]
  expected: Marker
  next: Marker
}

/** The streams of one prefix, for one publisher. */
export interface RedisStreams {
  /** After the first try to connect, whatever came of it; further ones follow by themselves. */
  tried: Promise<void>
  /** All entries and the marker, or nothing; and only while no other publisher holds the streams. */
  publish(batch: Batch): Promise<Outcome>
  /** Lets another publisher go on at once. */
  release(): Promise<void>
  close(): void
}

export interface RedisStreamsOptions {
  url: string
  prefix: string
  /** Entries a stream keeps, about. */
  maxLength: number
  /** Names this publisher among those of other processes. */
  publisher: string
  onReady: () => void
}

/** A publisher that has not been heard of for this long is taken for dead. */
const LEASE_MS = 2_000
/** A server that takes longer is asked again; entries that it did take by then are known by the marker. */
const COMMAND_TIMEOUT_MS = 10_000

// A script is all or nothing here: what Redis may refuse (memory, a replica, rights) it refuses at the first write, and the types of the
// streams are looked at before. Comparing the marker keeps out whoever thinks to be the publisher still, and an answer that was lost.
const PUBLISH = `
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return {'held', ''} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local marker = redis.call('GET', KEYS[1]) or ''
if marker ~= ARGV[3] then return {'moved', marker} end
for i = 3, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'stream' and kind ~= 'none' then return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. kind) end
end
for i = 6, #ARGV, 3 do
  redis.call('XADD', KEYS[tonumber(ARGV[i])], 'MAXLEN', '~', ARGV[5], '*', ARGV[i + 1], ARGV[i + 2])
end
if ARGV[4] ~= marker then redis.call('SET', KEYS[1], ARGV[4]) end
return {'published', ''}`
const FIRST_STREAM_KEY = 3

const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

export async function openRedisStreams(options: RedisStreamsOptions): Promise<RedisStreams> {
  const { url, prefix, publisher } = options
  const redis: Redis = await openRedis(url, { commandTimeout: COMMAND_TIMEOUT_MS })
  // Each failure is seen by whoever sent the command.
  redis.on('error', () => undefined)
  redis.on('ready', options.onReady)
  const markerKey = `${prefix}:change-stream:position`
  const leaseKey = `${prefix}:change-stream:publisher`
  const tried = redis.connect().catch(() => undefined)

  return {
    tried,
    publish: async ({ entries, expected, next }) => {
      const streams = [...new Set(entries.map((entry) => entry.stream))]
      const numbers = new Map(streams.map((stream, index) => [stream, String(index + FIRST_STREAM_KEY)]))
      const fields = entries.flatMap(({ stream, key, envelope }) => [numbers.get(stream)!, key, envelope])
      const keys = [markerKey, leaseKey, ...streams]
      const settings = [publisher, LEASE_MS, expected, next, options.maxLength]
      const [result, marker] = (await redis.eval(PUBLISH, keys.length, ...keys, ...settings, ...fields)) as [
        Outcome['result'],
        string,
      ]
      return result === 'moved' ? { result, marker } : { result }
    },
    release: async () => {
      await redis.eval(RELEASE, 1, leaseKey, publisher)
    },
    close: () => redis.disconnect(),
  }
}
