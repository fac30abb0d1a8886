import { SoukError } from '../platform/errors.ts'
import type { ChangesSocket } from './changes-socket.ts'
import { closeCodes } from './close-codes.ts'
import type { ClientFrame } from './client-frames.ts'
import type { Entry } from './entry.ts'
import type { Hub } from './hub.ts'
import { coversTopic } from './topic-patterns.ts'

type Request = Extract<ClientFrame, { action: 'subscribe' }>

/** Waiting subscriptions of one socket while it replays another. */
const MAX_WAITING = 50

/**
 * What one socket listens to. Requests are served one after the other. While missed changes are sent the whole socket is not live: what
 * arrives meanwhile follows in order before `caught-up`.
 */
export class Subscriptions {
  /** Topic pattern to the position since which this socket has heard it. */
  readonly #topics = new Map<string, number>()
  readonly #waiting: Request[] = []
  readonly #hub: Hub
  readonly #socket: ChangesSocket
  #isLive = true
  #current: Request | undefined
  #isServing = false
  #cursor = 0

  constructor(hub: Hub, socket: ChangesSocket) {
    this.#hub = hub
    this.#socket = socket
  }

  /** Everything up to here that was asked for has been sent: safe to resume from. */
  get position(): number {
    return this.#isLive ? this.#hub.tail.position : this.#cursor
  }

  add(request: Request): void {
    const refusal = this.#refusal(request)
    if (refusal !== undefined) return this.#tell(request, { type: 'error', message: refusal })
    this.#waiting.push(request)
    if (!this.#isServing) void this.#serve()
  }

  /** Ends the topics at once, also those being replayed or still waiting. */
  remove(topics: readonly string[]): void {
    if (this.#isLive) this.#hub.listeners.remove(this.#socket, this.#socket.audience, topics)
    for (const topic of topics) this.#topics.delete(topic)
    for (const request of [this.#current, ...this.#waiting]) {
      if (request !== undefined) request.topics = request.topics.filter((topic) => !topics.includes(topic))
    }
  }

  /** For a change of the audience: leaves the index under the old one and joins it under the new one. */
  pauseWhile(change: () => void): void {
    if (this.#isLive) this.#leaveIndex()
    change()
    if (this.#isLive) this.#joinIndex()
  }

  tellGap(): void {
    if (!this.#isLive || this.#topics.size === 0) return
    this.#socket.lastHeard = this.#hub.tail.position
    for (const topic of this.#topics.keys()) this.#topics.set(topic, this.#hub.tail.position)
    this.#tell(undefined, this.#gap())
  }

  end(): void {
    if (this.#isLive) this.#leaveIndex()
    this.#isLive = false
    this.#topics.clear()
    this.#waiting.length = 0
  }

  #refusal(request: Request): string | undefined {
    const { topicsPerSocket } = this.#hub.limits
    const topics = new Set(this.#topics.keys())
    for (const { topics: more } of [request, ...this.#waiting]) for (const topic of more) topics.add(topic)
    for (const topic of this.#current?.topics ?? []) topics.add(topic)
    if (topics.size > topicsPerSocket) return `A socket may have at most ${topicsPerSocket} topics.`
    if (this.#waiting.length >= MAX_WAITING) return 'Too many subscriptions are waiting. Wait for caught-up.'
    return undefined
  }

  async #serve(): Promise<void> {
    this.#isServing = true
    try {
      for (let next = this.#waiting.shift(); next !== undefined && this.#socket.isOpen; next = this.#waiting.shift()) {
        this.#current = next
        if (next.from === undefined) this.#startNow(next)
        else await this.#resume(next, next.from)
        this.#current = undefined
      }
    } catch (error) {
      if (!(error instanceof SoukError)) this.#hub.log.error({ err: error }, 'a replay failed')
      this.#socket.close(closeCodes.tryAgainLater, 'try again later')
    } finally {
      this.#isServing = false
    }
  }

  #startNow(request: Request): void {
    const { position, epoch } = this.#hub.tail
    this.#tell(request, { type: 'subscribed', topics: request.topics, position, epoch })
    this.#listenTo(request, position)
  }

  async #resume(request: Request, { since, epoch }: { since: number; epoch: string }): Promise<void> {
    const topics = [...request.topics]
    const isReached = await this.#hub.canResume(since, epoch)
    if (!this.#socket.isOpen) return
    if (!isReached) {
      this.#tell(request, {
        type: 'subscribed',
        topics,
        position: this.#hub.tail.position,
        epoch: this.#hub.tail.epoch,
      })
      this.#listenTo(request, this.#hub.tail.position)
      return this.#tell(request, this.#gap())
    }
    // The head is not told here: a client that took it for its own position and lost the connection would miss the replay.
    this.#tell(request, { type: 'subscribed', topics, position: since, epoch })
    const outcome = await this.#sendMissed(request, since)
    if (outcome !== 'gap') return
    this.#goLive()
    this.#tell(request, this.#gap())
  }

  async #sendMissed(request: Request, since: number): Promise<'done' | 'gap' | 'closed'> {
    const { replay, tail } = this.#hub
    const frozenAt = tail.position
    const onProgress = (position: number): void => {
      this.#cursor = position
    }
    this.#cursor = since
    this.#leaveIndex()
    this.#isLive = false
    const outcome = await replay.send(this.#socket, {
      after: since,
      upTo: frozenAt,
      patterns: () => request.topics,
      isKnown: (entry) => this.#hasHeard(entry, request),
      onProgress,
    })
    for (const topic of request.topics) this.#topics.set(topic, Math.min(since, this.#topics.get(topic) ?? since))
    if (outcome !== 'done') return outcome
    const rest = { after: frozenAt, patterns: () => [...this.#topics.keys()], onProgress }
    return replay.follow(this.#socket, rest, () => {
      this.#goLive()
      this.#tell(request, { type: 'caught-up', position: tail.position })
    })
  }

  /** Whether another subscription of this socket has already brought the change: then it is not sent twice. */
  #hasHeard(entry: Entry, request: Request): boolean {
    for (const [topic, since] of this.#topics) {
      if (entry.position > since && !request.topics.includes(topic) && coversTopic([topic], entry.change.topic))
        return true
    }
    return false
  }

  #listenTo(request: Request, position: number): void {
    if (!this.#socket.isOpen) return
    const fresh = request.topics.filter((topic) => !this.#topics.has(topic))
    for (const topic of fresh) this.#topics.set(topic, position)
    this.#hub.listeners.add(this.#socket, this.#socket.audience, fresh)
  }

  #goLive(): void {
    if (!this.#socket.isOpen) return
    this.#isLive = true
    this.#joinIndex()
  }

  #joinIndex(): void {
    this.#socket.lastHeard = this.#hub.tail.position
    this.#hub.listeners.add(this.#socket, this.#socket.audience, [...this.#topics.keys()])
  }

  #leaveIndex(): void {
    this.#hub.listeners.remove(this.#socket, this.#socket.audience, [...this.#topics.keys()])
  }

  #gap(): Record<string, unknown> {
    const { oldest, position, epoch } = this.#hub.tail
    return { type: 'gap', oldest, position, epoch }
  }

  #tell(request: Request | undefined, frame: Record<string, unknown>): void {
    this.#socket.tell(request?.ref === undefined ? frame : { ...frame, ref: request.ref })
  }
}
