import type { Duplex } from 'node:stream'

import type { WebSocket } from 'ws'

import type { Caller } from '../platform/http/caller.ts'
import { audienceOf, type Audience } from './audience.ts'
import { parseClientFrame, type ClientFrame } from './client-frames.ts'
import { closeCodes } from './close-codes.ts'
import type { Entry } from './entry.ts'
import type { Beating } from './heartbeat.ts'
import type { Hub } from './hub.ts'
import type { Listener } from './listeners.ts'
import type { Reader } from './replay.ts'
import type { Session } from './rights.ts'
import { Subscriptions } from './subscriptions.ts'
import { whenDrained } from './when-drained.ts'

const TEXT = { binary: false } as const

/** One connection of `/ws/changes/`. */
export class ChangesSocket implements Session, Reader, Listener, Beating {
  caller: Caller
  audience: Audience
  lastHeard = 0
  readonly expiresAt: number
  readonly #ws: WebSocket
  readonly #stream: Duplex
  readonly #hub: Hub
  readonly #subscriptions: Subscriptions
  readonly #frameTimes: number[] = []
  #unansweredPings = 0
  #hasLeft = false

  constructor(hub: Hub, caller: Caller, connection: { ws: WebSocket; socket: Duplex }) {
    this.#hub = hub
    this.caller = caller
    this.audience = audienceOf(caller)
    this.expiresAt = caller.expiresAt ?? Number.POSITIVE_INFINITY
    this.#ws = connection.ws
    this.#stream = connection.socket
    this.#subscriptions = new Subscriptions(hub, this)
    const { ws } = connection
    ws.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary))
    ws.on('ping', () => this.#countFrame())
    ws.on('pong', () => this.#receivePong())
    ws.on('close', () => {
      this.#leave()
      hub.sockets.delete(this)
      hub.socketQuota.give(caller.userId)
    })
    // The close that follows says what there is to say; a broken connection or frame is nothing to log.
    ws.on('error', () => undefined)
  }

  /** False as soon as either side has begun to close: what is sent then goes nowhere, yet counts as buffered for ever. */
  get isOpen(): boolean {
    return !this.#hasLeft && this.#ws.readyState === this.#ws.OPEN
  }

  get buffered(): number {
    return this.#ws.bufferedAmount
  }

  /** A live change. Whoever cannot keep up is sent away with what is in its buffer, and resumes. */
  hear(entry: Entry): void {
    if (!this.isOpen) return
    if (this.expiresAt <= this.#hub.now()) return this.expire()
    if (this.#ws.bufferedAmount + entry.frame.length > this.#hub.limits.bufferBytes) {
      return this.close(closeCodes.tooSlow, 'too slow, resume')
    }
    this.#hub.cork(this.#stream)
    this.#ws.send(entry.frame, TEXT)
  }

  write(entry: Entry): void {
    if (this.expiresAt <= this.#hub.now()) return this.expire()
    this.#ws.send(entry.frame, TEXT)
  }

  /** An answer or notice of the server. */
  tell(frame: Record<string, unknown>): void {
    if (!this.isOpen) return
    const text = JSON.stringify(frame)
    if (this.#ws.bufferedAmount + text.length > this.#hub.limits.bufferBytes) {
      return this.close(closeCodes.tooSlow, 'too slow, resume')
    }
    this.#ws.send(text, TEXT)
  }

  drained(): Promise<void> {
    return whenDrained(this.#stream)
  }

  endRights(): void {
    this.close(closeCodes.credentialEnded, 'credential ended, sign in first')
  }

  expire(): void {
    this.endRights()
  }

  changeStaff(isStaff: boolean): void {
    this.#subscriptions.pauseWhile(() => {
      this.caller = { ...this.caller, isStaff }
      this.audience = audienceOf(this.caller)
    })
  }

  /** The log cannot be read on from where this socket was. */
  loseTrack(): void {
    this.#subscriptions.tellGap()
  }

  beat(): void {
    if (this.#unansweredPings >= this.#hub.limits.missedPings) return this.#ws.terminate()
    this.#unansweredPings += 1
    this.#ws.ping()
  }

  close(code: number, reason: string): void {
    if (this.#hasLeft) return
    this.#leave()
    this.#ws.close(code, reason)
  }

  /** Closes, and resolves when the connection has ended; a client that does not answer is cut off after `waitMs`. */
  async closeWithin(waitMs: number, code: number, reason: string): Promise<void> {
    this.close(code, reason)
    if (this.#ws.readyState === this.#ws.CLOSED) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#ws.terminate(), waitMs)
      this.#ws.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#subscriptions.end()
    this.#hub.removeSocket(this)
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (!this.#countFrame()) return
    if (isBinary) return this.tell({ type: 'error', message: 'Frames must be text.' })
    this.#answer(parseClientFrame(data.toString(), this.#hub.limits.topicsPerSocket))
  }

  #answer(frame: ClientFrame): void {
    const ref = frame.ref === undefined ? {} : { ref: frame.ref }
    switch (frame.action) {
      case 'refused':
        return this.tell({ type: 'error', message: frame.message, ...ref })
      case 'ping':
        return this.tell({ type: 'pong', position: this.#subscriptions.position, ...ref })
      case 'unsubscribe':
        this.#subscriptions.remove(frame.topics)
        return this.tell({ type: 'unsubscribed', topics: frame.topics, ...ref })
      case 'subscribe':
        return this.#subscriptions.add(frame)
    }
  }

  /** False when this frame was one too many, or the socket is closing. */
  #countFrame(): boolean {
    if (!this.isOpen) return false
    const { framesPerWindow, frameWindowMs } = this.#hub.limits
    const now = performance.now()
    const times = this.#frameTimes
    while (times.length > 0 && times[0]! <= now - frameWindowMs) times.shift()
    times.push(now)
    if (times.length <= framesPerWindow) return true
    this.close(closeCodes.flooding, `at most ${framesPerWindow} frames in ${frameWindowMs / 1000} s`)
    return false
  }

  #receivePong(): void {
    // Answers to our pings are not held against the client; unasked ones are.
    if (this.#unansweredPings === 0) this.#countFrame()
    this.#unansweredPings = 0
  }
}
