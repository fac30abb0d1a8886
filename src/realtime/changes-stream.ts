import { Readable } from 'node:stream'

import type { Caller } from '../platform/http/caller.ts'
import { audienceOf, type Audience } from './audience.ts'
import type { Entry } from './entry.ts'
import type { Beating } from './heartbeat.ts'
import type { Follower, Hub } from './hub.ts'
import type { Listener } from './listeners.ts'
import type { Reader } from './replay.ts'
import type { Session } from './rights.ts'

/** How long a client waits before it connects again (the `retry` field of the event stream format). */
const RETRY_MS = 1_000
/** What is left in the buffer of a stream that has ended may still be read for this long. */
const FLUSH_MS = 5_000

/** One event stream of `/api/changes/stream/`; `body` is what is sent. */
export class ChangesStream implements Session, Reader, Listener, Beating, Follower {
  caller: Caller
  audience: Audience
  lastHeard = 0
  isOpen = true
  readonly body: Readable
  readonly expiresAt: number
  readonly #hub: Hub
  readonly #patterns: readonly string[]
  #isLive = false
  #wake: () => void = () => undefined

  constructor(hub: Hub, caller: Caller, patterns: readonly string[]) {
    this.#hub = hub
    this.caller = caller
    this.audience = audienceOf(caller)
    this.expiresAt = caller.expiresAt ?? Number.POSITIVE_INFINITY
    this.#patterns = patterns
    this.body = new Readable({ read: () => this.#wake() })
    this.body.on('close', () => {
      this.#leave()
      this.#wake()
      hub.streamQuota.give(caller.userId)
    })
    this.body.on('error', () => undefined)
    this.body.push(`retry: ${RETRY_MS}\n\n`)
  }

  /** Sends what was missed since `from`, or says that there is a gap, and goes on from there. */
  async run(from: { since: number; epoch: string } | undefined): Promise<void> {
    try {
      if (from === undefined) return this.#goLive()
      if (!(await this.#hub.canResume(from.since, from.epoch))) return this.loseTrack()
      const span = { after: from.since, patterns: () => this.#patterns }
      const outcome = await this.#hub.replay.follow(this, span, () => this.#goLive())
      if (outcome === 'gap') this.loseTrack()
    } catch (error) {
      this.#hub.log.warn({ err: error }, 'an event stream ended, its reader will come back')
      this.end()
    }
  }

  get buffered(): number {
    return this.body.readableLength
  }

  /** A live change. Whoever cannot keep up is ended, and comes back with the last id it has read. */
  hear(entry: Entry): void {
    if (this.expiresAt <= this.#hub.now()) return this.end()
    if (this.buffered + entry.event.length > this.#hub.limits.bufferBytes) return this.end()
    this.body.push(entry.event)
  }

  write(entry: Entry): void {
    if (this.expiresAt <= this.#hub.now()) return this.end()
    this.body.push(entry.event)
  }

  drained(): Promise<void> {
    if (this.body.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  loseTrack(): void {
    if (!this.isOpen) return
    const { oldest, position, epoch } = this.#hub.tail
    this.#tell('gap', { epoch, oldest, position })
    this.lastHeard = position
    if (!this.#isLive) this.#goLive()
  }

  beat(): void {
    if (this.buffered > this.#hub.limits.bufferBytes) return this.end()
    this.body.push(': \n\n')
  }

  endRights(): void {
    this.end()
  }

  expire(): void {
    this.end()
  }

  changeStaff(isStaff: boolean): void {
    const isLive = this.#isLive
    if (isLive) this.#leaveIndex()
    this.caller = { ...this.caller, isStaff }
    this.audience = audienceOf(this.caller)
    if (isLive) this.#joinIndex()
  }

  /** Ends the stream; a browser comes back by itself with `Last-Event-ID`. */
  end(): void {
    if (!this.isOpen) return
    this.#leave()
    this.body.push(null)
    setTimeout(() => this.body.destroy(), FLUSH_MS).unref()
  }

  #goLive(): void {
    if (!this.isOpen) return
    this.#joinIndex()
    const { position, epoch } = this.#hub.tail
    this.#tell('caught-up', { epoch, position })
  }

  #joinIndex(): void {
    this.#isLive = true
    this.lastHeard = this.#hub.tail.position
    this.#hub.listeners.add(this, this.audience, this.#patterns)
  }

  #leaveIndex(): void {
    this.#isLive = false
    this.#hub.listeners.remove(this, this.audience, this.#patterns)
  }

  #leave(): void {
    if (!this.isOpen) return
    this.isOpen = false
    if (this.#isLive) this.#leaveIndex()
    this.#hub.removeStream(this)
  }

  /** Notices carry an id as well, so that a reader who hears nothing else still resumes from here. */
  #tell(event: string, data: { epoch: string; oldest?: number; position: number }): void {
    this.body.push(`id: ${data.epoch}:${data.position}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }
}
