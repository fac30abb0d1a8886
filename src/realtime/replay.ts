import { setImmediate } from 'node:timers/promises'

import type { Caller } from '../platform/http/caller.ts'
import { isAddressedTo, type Audience } from './audience.ts'
import type { Entry } from './entry.ts'
import type { History } from './history.ts'
import type { RecentChanges } from './recent-changes.ts'
import { coversTopic } from './topic-patterns.ts'
import type { Visible } from './visibility.ts'

/** Somebody who is told the changes of the log: a socket or an event stream. Rights may change while a replay runs. */
export interface Reader {
  readonly caller: Caller
  readonly audience: Audience
  readonly isOpen: boolean
  /** Bytes that wait to be sent. */
  readonly buffered: number
  write(entry: Entry): void
  /** Resolves when nothing waits any more, or the reader has gone. */
  drained(): Promise<void>
}

export interface Span {
  after: number
  upTo: number
  /** What is wanted now; a client may unsubscribe meanwhile. */
  patterns: () => readonly string[]
  isKnown?: (entry: Entry) => boolean
  onProgress?: (position: number) => void
}

/** `gap`: what is missing is no longer kept, or the log has become another one. */
export type Outcome = 'done' | 'gap' | 'closed'

export interface Replay {
  /** Sends what of this part of the log is for the reader, in order, at the pace the reader takes it. */
  send(reader: Reader, span: Span): Promise<Outcome>
  /**
   * Sends everything after `span.after` and then calls `join`, which makes the reader live. Why nothing is missed and nothing comes twice:
   * the tail moves its position and hands a change out in one synchronous call; `join` is called in one synchronous step with the check
   * that everything up to the tail's position has been sent. So each change is either sent here or handed out after `join`, never both.
   */
  follow(reader: Reader, span: Omit<Span, 'upTo'>, join: () => void): Promise<Outcome>
}

export interface ReplayOptions {
  history: History
  recent: RecentChanges
  tail: { readonly epoch: string; readonly position: number }
  visible: Visible
  replayBufferBytes: number
}

/** Small, because a reader who stops reading keeps its page in memory: 50 changes of 16 KB are less than its buffer of 1 MiB. */
const PAGE = 50
/** Changes that may have arrived during the last page and are sent at once. */
const FINISH_AT_MOST = 2_000

export function createReplay({ history, recent, tail, visible, replayBufferBytes }: ReplayOptions): Replay {
  async function send(reader: Reader, span: Span): Promise<Outcome> {
    const { epoch } = tail
    let cursor = span.after
    while (cursor < span.upTo) {
      if (!reader.isOpen) return 'closed'
      if (tail.epoch !== epoch) return 'gap'
      const patterns = span.patterns()
      if (patterns.length === 0) return 'done'
      const query = { after: cursor, upTo: span.upTo, audience: reader.audience, patterns, limit: PAGE }
      const page = await history.page(query)
      if (page === 'gap') return 'gap'
      await sendPage(reader, span, page.entries)
      cursor = page.through
      span.onProgress?.(cursor)
      if (cursor < span.upTo) await setImmediate()
    }
    return reader.isOpen ? 'done' : 'closed'
  }

  /** Rights are asked for again whenever sending had to wait: a reader may take minutes for a page. */
  async function sendPage(reader: Reader, span: Span, entries: Entry[]): Promise<void> {
    let rest = entries
    while (rest.length > 0 && reader.isOpen) {
      const { caller } = reader
      rest = await visible(caller, rest)
      let sent = 0
      while (sent < rest.length && reader.isOpen && reader.caller === caller && reader.buffered <= replayBufferBytes) {
        const entry = rest[sent]!
        if (isFor(reader, span, entry)) reader.write(entry)
        sent += 1
      }
      rest = rest.slice(sent)
      if (reader.isOpen && reader.buffered > replayBufferBytes) await reader.drained()
    }
  }

  async function follow(reader: Reader, span: Omit<Span, 'upTo'>, join: () => void): Promise<Outcome> {
    const { epoch } = tail
    let cursor = span.after
    for (;;) {
      const upTo = tail.position
      const outcome = await send(reader, { ...span, after: cursor, upTo })
      if (outcome !== 'done') return outcome
      if (tail.epoch !== epoch) return 'gap'
      cursor = upTo
      if (!finish(reader, span, cursor)) continue
      join()
      return 'done'
    }
  }

  /**
   * Sends what the tail has handed to the others since the last page was begun: live changes like theirs, so no right is asked for. Waiting
   * for one more question would let new changes in, for ever on a busy log. False when it is too much to send at once.
   */
  function finish(reader: Reader, span: Omit<Span, 'upTo'>, cursor: number): boolean {
    if (tail.position === cursor) return true
    if (cursor < recent.start || tail.position - cursor > FINISH_AT_MOST) return false
    const entries = recent.between(cursor, tail.position).filter((entry) => isFor(reader, span, entry))
    const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0)
    if (bytes + reader.buffered > 2 * replayBufferBytes) return false
    for (const entry of entries) reader.write(entry)
    return true
  }

  return { send, follow }
}

function isFor(reader: Reader, span: Omit<Span, 'upTo'>, entry: Entry): boolean {
  const { audience, topic } = entry.change
  if (!isAddressedTo(reader.audience, audience) || !coversTopic(span.patterns(), topic)) return false
  return !(span.isKnown?.(entry) ?? false)
}
