import { setTimeout as wait } from 'node:timers/promises'

import type { SeenChange } from './live-client.ts'

interface Page {
  epoch: string
  position: number
  changes: SeenChange[]
}

const WAIT_SECONDS = 1
const PAUSE_MS = 50
const PATIENCE_MS = 10_000

/** Follows the log by `GET /api/changes/`, each page from whatever process is asked for it, and keeps what it was told in order of arrival. */
export class PagingClient {
  readonly seen: SeenChange[] = []
  readonly problems: string[] = []
  gaps = 0
  start = -1
  #bookmark: { epoch: string; position: number } | undefined
  #isClosed = false
  readonly #address: () => string
  readonly #headers: Record<string, string>
  readonly #running: Promise<void>

  constructor(address: () => string, headers: Record<string, string>) {
    this.#address = address
    this.#headers = headers
    this.#running = this.#run()
  }

  get position(): number {
    return this.#bookmark?.position ?? -1
  }

  close(): Promise<void> {
    this.#isClosed = true
    return this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      // A process that is killed takes its answer with it; the page is asked for again.
      const response = await this.#ask().catch(() => undefined)
      if (response === undefined || response.status === 503) await wait(PAUSE_MS)
      else await this.#read(response).catch(() => wait(PAUSE_MS))
    }
  }

  #ask(): Promise<Response> {
    const bookmark = this.#bookmark
    const query =
      bookmark === undefined ? '?limit=1' : `?since=${bookmark.position}&epoch=${bookmark.epoch}&wait=${WAIT_SECONDS}`
    const signal = AbortSignal.timeout(PATIENCE_MS)
    return fetch(`${this.#address()}/api/changes/${query}`, { headers: this.#headers, signal })
  }

  async #read(response: Response): Promise<void> {
    const page = (await response.json()) as Page
    if (response.status === 410) this.gaps += 1
    else if (response.status !== 200) {
      this.problems.push(`a page of changes was answered with ${response.status}: ${JSON.stringify(page)}`)
      return wait(PAUSE_MS)
    }
    // The first page says only where reading begins.
    if (this.#bookmark === undefined) this.start = page.position
    else this.seen.push(...(page.changes ?? []))
    this.#bookmark = { epoch: page.epoch, position: page.position }
  }
}
