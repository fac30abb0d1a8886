import { setTimeout as sleep } from 'node:timers/promises'

import type { Redis } from 'ioredis'

import type { Logger } from '../platform/log.ts'
import { openRedis } from '../platform/redis.ts'
import type { Service } from '../platform/service.ts'
import { readEntry, type RawEntry, type StreamEntry } from './entry.ts'
import { claimIdle, createGroup, isGroupMissing, readNew, readOwnPending, type GroupMember } from './group.ts'

export type { StreamEntry } from './entry.ts'

export interface ConsumerOptions {
  redisUrl: string
  stream: string
  group: string
  /** Names this process among the members of the group; one that comes back under its name goes on with what it had. */
  consumer: string
  log: Logger
  /**
   * Called at least once per entry, one at a time. What it throws leaves the entry unacknowledged, to be tried again; entries that mean
   * nothing to it are done when it returns.
   */
  handle(entry: StreamEntry): Promise<void>
}

/** Before and after which an entry that failed is tried again; doubled each time. */
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
/** Failed entries whose next try is remembered; others are tried each round. */
const MAX_REMEMBERED = 10_000
const OUTAGE_WAIT_MS = 1_000
/** Far longer than a read waits for new entries. */
const COMMAND_TIMEOUT_MS = 10_000
const STOP_WAIT_MS = 900

interface Failure {
  waitMs: number
  dueAt: number
}

/**
 * A member of a consumer group on a stream of row changes (store contract, section 7). Each round: entries others have left idle for more
 * than 60 s, then its own unacknowledged ones, then new ones; acknowledged after processing. The group is made from the first entry on,
 * and made again when Redis has lost it.
 */
export function consumeStream(options: ConsumerOptions): Service {
  const { stream, group, log } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const failures = new Map<string, Failure>()
  let redis: Redis | undefined
  let running: Promise<void> = Promise.resolve()
  let isAway = false
  let claimFrom = '0-0'

  async function run(member: GroupMember): Promise<void> {
    while (!signal.aborted) {
      try {
        await round(member)
        if (isAway) log.info({ stream, group }, 'the stream is read again')
        isAway = false
      } catch (error) {
        if (!signal.aborted) await recover(member, error)
      }
    }
  }

  async function recover(member: GroupMember, error: unknown): Promise<void> {
    try {
      if (!isGroupMissing(error)) throw error
      await createGroup(member)
    } catch (cause) {
      await sitOut(cause)
    }
  }

  async function sitOut(error: unknown): Promise<void> {
    if (!isAway) log.warn({ err: error, stream, group }, 'the stream cannot be read, trying again')
    isAway = true
    try {
      await sleep(OUTAGE_WAIT_MS, undefined, { signal })
    } catch {
      // Stopped: the loop sees it.
    }
  }

  async function round(member: GroupMember): Promise<void> {
    const claimed = await claimIdle(member, claimFrom)
    claimFrom = claimed.next
    await processAll(member, claimed.entries)
    for (let after = '0'; !signal.aborted;) {
      const own = await readOwnPending(member, after)
      if (own.length === 0) break
      await processAll(member, own)
      after = own.at(-1)![0]
    }
    if (!signal.aborted) await processAll(member, await readNew(member))
  }

  async function processAll(member: GroupMember, entries: readonly RawEntry[]): Promise<void> {
    for (const raw of entries) {
      if (signal.aborted) return
      const [id] = raw
      if ((failures.get(id)?.dueAt ?? 0) > performance.now()) continue
      if (await process(raw)) {
        await member.redis.xack(stream, group, id)
        failures.delete(id)
      }
    }
  }

  /** Whether the entry is done with. */
  async function process(raw: RawEntry): Promise<boolean> {
    const entry = readEntry(raw)
    if (entry === undefined) {
      // Trimmed or deleted while it was pending; or nothing that anybody could read, now or later.
      if (raw[1] !== null)
        log.warn({ stream, group, entry: raw[0] }, 'an entry of the stream is no row change, left out')
      return true
    }
    try {
      await options.handle(entry)
      return true
    } catch (error) {
      const waitMs = Math.min((failures.get(entry.id)?.waitMs ?? FIRST_RETRY_MS / 2) * 2, LAST_RETRY_MS)
      if (failures.size < MAX_REMEMBERED) failures.set(entry.id, { waitMs, dueAt: performance.now() + waitMs })
      log.error({ err: error, stream, group, entry: entry.id }, 'an entry of the stream failed, it will be tried again')
      return false
    }
  }

  return {
    name: `stream.consumer.${group}`,
    start: async () => {
      redis = await openRedis(options.redisUrl, { commandTimeout: COMMAND_TIMEOUT_MS })
      // Each failure is seen by the command that meets it.
      redis.on('error', () => undefined)
      const member = { redis, stream, group, consumer: options.consumer }
      // Not before the connection stands; nor does the start of the process wait for a Redis that hangs.
      const tried = redis.connect().catch(() => undefined)
      running = tried.then(() => run(member))
    },
    stop: async () => {
      if (signal.aborted) return
      stopping.abort()
      // Ends a read that is waiting for new entries; one being processed may still be acknowledged.
      await Promise.race([running, sleep(STOP_WAIT_MS, undefined, { ref: false })])
      redis?.disconnect()
    },
  }
}
