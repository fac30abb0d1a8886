import type { Redis } from 'ioredis'

import type { Logger } from './log.ts'
import type { Service } from './service.ts'

export interface RedisConnection extends Service {
  /** For `/readyz`: undefined when the server answers. */
  problem(): Promise<string | undefined>
}

const ABSENT = 'Redis at REDIS_URL does not answer'
const CONNECT_TIMEOUT_MS = 2_000
/** A server that hangs is as good as none. */
const PING_TIMEOUT_MS = 1_000
const MAX_RECONNECT_MS = 5_000

/** A connection to the optional Redis that comes back by itself; its absence is said in the log once per outage. */
export function connectRedis(url: string, log: Logger): RedisConnection {
  let redis: Redis | undefined

  return {
    name: 'redis',
    start: async () => {
      redis = await open(url, log)
      // Redis is optional: a server that is down now must not keep Souk from starting.
      await redis.connect().catch(() => undefined)
    },
    stop: async () => redis?.disconnect(),
    problem: async () => {
      if (redis?.status !== 'ready') return ABSENT
      return redis.ping().then(
        () => undefined,
        () => ABSENT,
      )
    },
  }
}

async function open(url: string, log: Logger): Promise<Redis> {
  const redis = await openRedis(url, { commandTimeout: PING_TIMEOUT_MS })
  let isAway = false
  redis.on('error', (error: Error) => {
    if (!isAway) log.warn({ err: error.message }, 'Redis is not reachable; trying again')
    isAway = true
  })
  redis.on('ready', () => {
    if (isAway) log.info('Redis is back')
    isAway = false
  })
  return redis
}

/**
 * A client that comes back by itself and refuses commands at once while its server is away, so that nothing piles up in memory. It is not
 * connected yet, and the caller listens to its errors.
 */
export async function openRedis(url: string, options: { commandTimeout?: number } = {}): Promise<Redis> {
  // Only here: the client takes 10 MB that a server without Redis need not spend.
  const { Redis } = await import('ioredis')
  return new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => Math.min(attempt * 200, MAX_RECONNECT_MS),
    ...options,
  })
}
