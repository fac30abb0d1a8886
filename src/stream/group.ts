import type { Redis } from 'ioredis'

import type { RawEntry } from './entry.ts'

/** One member of a consumer group, on a connection of its own: reading waits on it. */
export interface GroupMember {
  redis: Redis
  stream: string
  group: string
  consumer: string
}

const COUNT = 100
/** Entries that their consumer has not acknowledged for this long are taken over. */
const IDLE_MS = 60_000
/** Waiting for new entries ends before a stop would seem slow. */
const BLOCK_MS = 500

/** Makes the group, from the first entry of the stream on, and the stream if there is none. */
export async function createGroup({ redis, stream, group }: GroupMember): Promise<void> {
  try {
    await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM')
  } catch (error) {
    if (!(error as Error).message.startsWith('BUSYGROUP')) throw error
  }
}

/** Whether a command failed because Redis does not have the group, or its stream. */
export function isGroupMissing(error: unknown): boolean {
  return (error as Error).message.startsWith('NOGROUP')
}

/** Takes over idle entries of any member, a page per call; `next` is where the next call goes on. */
export async function claimIdle(
  { redis, stream, group, consumer }: GroupMember,
  from: string,
): Promise<{ next: string; entries: RawEntry[] }> {
  // Redis 7 adds the ids of pending entries that are gone from the stream; it has taken them off the list. Redis 6 gives null for them.
  const [next, entries] = (await redis.xautoclaim(stream, group, consumer, IDLE_MS, from, 'COUNT', COUNT)) as [
    string,
    (RawEntry | null)[],
  ]
  return { next, entries: entries.filter((entry) => entry !== null) }
}

/** Entries this member was given and has not acknowledged, after an id. */
export function readOwnPending(member: GroupMember, after: string): Promise<RawEntry[]> {
  const { redis, stream, group, consumer } = member
  return readOne(redis.xreadgroup('GROUP', group, consumer, 'COUNT', COUNT, 'STREAMS', stream, after))
}

/** New entries; waits a moment for them. */
export function readNew({ redis, stream, group, consumer }: GroupMember): Promise<RawEntry[]> {
  return readOne(redis.xreadgroup('GROUP', group, consumer, 'COUNT', COUNT, 'BLOCK', BLOCK_MS, 'STREAMS', stream, '>'))
}

async function readOne(reply: Promise<unknown>): Promise<RawEntry[]> {
  const streams = (await reply) as [stream: string, entries: RawEntry[]][] | null
  return streams?.[0]?.[1] ?? []
}
