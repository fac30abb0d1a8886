import { isTopicPattern } from './topic-patterns.ts'

/** What a client of `/ws/changes/` may ask (live contract, section 4). */
export type ClientFrame =
  | {
      action: 'subscribe'
      topics: string[]
      from: { since: number; epoch: string } | undefined
      ref: string | undefined
    }
  | { action: 'unsubscribe'; topics: string[]; ref: string | undefined }
  | { action: 'ping'; ref: string | undefined }
  | { action: 'refused'; message: string; ref: string | undefined }

const MAX_REF_LENGTH = 64

/** Reads one text frame. Never throws: whatever is not understood is `refused` with the reason, so that the socket can stay open. */
export function parseClientFrame(text: string, maxTopics: number): ClientFrame {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refused('A frame must be a JSON object.', undefined)
  }
  const frame = value as Record<string, unknown>
  const { action, ref } = frame
  if (ref !== undefined && (typeof ref !== 'string' || ref.length > MAX_REF_LENGTH)) {
    return refused(`ref must be a text of at most ${MAX_REF_LENGTH} characters.`, undefined)
  }
  if (action === 'ping') return { action, ref }
  if (action !== 'subscribe' && action !== 'unsubscribe') {
    return refused('action must be "subscribe", "unsubscribe" or "ping".', ref)
  }
  const topics = readTopics(frame['topics'], maxTopics)
  if (typeof topics === 'string') return refused(topics, ref)
  if (action === 'unsubscribe') return { action, topics, ref }
  const from = readFrom(frame['since'], frame['epoch'])
  if (typeof from === 'string') return refused(from, ref)
  return { action, topics, from, ref }
}

function refused(message: string, ref: string | undefined): ClientFrame {
  return { action: 'refused', message, ref }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The topics without repetitions, or what is wrong with them. */
function readTopics(value: unknown, maxTopics: number): string[] | string {
  if (!Array.isArray(value) || value.length === 0) return 'topics must be a list of at least one topic.'
  const topics = new Set<string>()
  for (const topic of value as unknown[]) {
    if (typeof topic !== 'string' || !isTopicPattern(topic)) {
      return 'topics must hold names such as "orders.order.accepted" or beginnings such as "orders.*".'
    }
    topics.add(topic)
  }
  return topics.size > maxTopics ? `A socket may have at most ${maxTopics} topics.` : [...topics]
}

function readFrom(since: unknown, epoch: unknown): { since: number; epoch: string } | undefined | string {
  if (since === undefined) return undefined
  if (typeof since !== 'number' || !Number.isSafeInteger(since) || since < 0) {
    return 'since must be a position: a whole number of 0 or more.'
  }
  if (typeof epoch !== 'string') return 'epoch is required with since, and must be a text.'
  return { since, epoch }
}
