import { WebSocket } from 'ws'

export interface SeenChange {
  position: number
  id: string
  topic: string
  subject: { type: string; id: string }
  data: Record<string, unknown>
}

interface Frame extends SeenChange {
  type: string
  epoch: string
}

const RECONNECT_MS = 50

/**
 * A browser as the live contract wants it: remembers (epoch, position), and after every cut connects again and asks for what it missed.
 * Everything it was ever told is kept in order of arrival.
 */
export class LiveClient {
  readonly seen: SeenChange[] = []
  gaps = 0
  start = -1
  #position: number | undefined
  #epoch: string | undefined
  #socket: WebSocket | undefined
  #isClosed = false
  readonly #address: () => string
  readonly #token: string

  constructor(address: () => string, token: string) {
    this.#address = address
    this.#token = token
    this.#connect()
  }

  get position(): number {
    return this.#position ?? -1
  }

  /** Cuts the connection; the next one may reach another process. */
  cut(): void {
    this.#socket?.terminate()
  }

  close(): void {
    this.#isClosed = true
    this.#socket?.terminate()
  }

  #connect(): void {
    if (this.#isClosed) return
    const url = `${this.#address().replace('http', 'ws')}/ws/changes/`
    const socket = new WebSocket(url, { headers: { authorization: `Token ${this.#token}` }, perMessageDeflate: false })
    this.#socket = socket
    socket.on('open', () => socket.send(JSON.stringify(this.#subscription())))
    socket.on('message', (raw: Buffer) => this.#hear(JSON.parse(raw.toString()) as Frame))
    socket.on('error', () => undefined)
    socket.on('close', () => setTimeout(() => this.#connect(), RECONNECT_MS))
  }

  #subscription(): Record<string, unknown> {
    const since = this.#position === undefined ? {} : { since: this.#position, epoch: this.#epoch }
    return { action: 'subscribe', topics: ['*'], ...since }
  }

  #hear(frame: Frame): void {
    if (frame.type === 'gap') this.gaps += 1
    if (frame.type === 'change') this.seen.push(frame)
    if (frame.type === 'change' || frame.type === 'caught-up' || frame.type === 'gap') this.#position = frame.position
    // The position of the first `subscribed` is where listening began; a later one is the head, which the replay has yet to reach.
    if (frame.type === 'subscribed' && this.#position === undefined) this.start = this.#position = frame.position
    if (frame.epoch !== undefined) this.#epoch = frame.epoch
  }
}
