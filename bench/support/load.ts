import { Agent, request, type IncomingMessage } from 'node:http'

import { latency, type Latency } from './stats.ts'

/** What is sent; a function is asked with the running number of the request, so that not every request hits the same rows. */
export interface LoadTarget {
  url: string
  /** Follows `url`. */
  path?: (n: number) => string
  method?: string
  headers?: Record<string, string> | ((n: number) => Record<string, string>)
  body?: (n: number) => string
}

export interface LoadResult {
  perSecond: number
  /** Milliseconds. */
  latency: Latency
  failures: number
}

/** Sends requests over kept connections, each as soon as the one before it on that connection is answered, for `seconds`. */
export async function closedLoop(target: LoadTarget, connections: number, seconds: number): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const until = performance.now() + seconds * 1000
  const times: number[] = []
  let failures = 0
  let sent = 0

  async function oneConnection(): Promise<void> {
    while (performance.now() < until) {
      const started = performance.now()
      const status = await send(target, agent, sent++)
      times.push(performance.now() - started)
      if (status >= 400) failures += 1
    }
  }

  const started = performance.now()
  await Promise.all(Array.from({ length: connections }, oneConnection))
  const elapsed = (performance.now() - started) / 1000
  agent.destroy()
  return { perSecond: times.length / elapsed, latency: latency(times), failures }
}

/** More unanswered requests than this mean that the server cannot keep the pace; sending on would only fill the memory. */
const MAX_UNANSWERED = 2_000

/**
 * Sends `perSecond` requests a second whether or not earlier ones are answered, for `seconds`. Times count from when a request was due, so
 * that a server that stands still is charged for all that waited meanwhile.
 */
export async function openLoop(target: LoadTarget, perSecond: number, seconds: number): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  const count = Math.round(perSecond * seconds)
  const times: number[] = []
  const answers: Promise<void>[] = []
  let failures = 0
  let answered = 0

  async function one(n: number, due: number): Promise<void> {
    const status = await send(target, agent, n)
    times.push(performance.now() - due)
    answered += 1
    if (status >= 400) failures += 1
  }

  const started = performance.now()
  for (let n = 0; n < count; n++) {
    const due = started + (n * 1000) / perSecond
    const wait = due - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    if (n - answered > MAX_UNANSWERED) throw new Error(`the server does not keep ${perSecond} requests/s`)
    answers.push(one(n, due))
  }
  await Promise.all(answers)
  const elapsed = (performance.now() - started) / 1000
  agent.destroy()
  return { perSecond: times.length / elapsed, latency: latency(times), failures }
}

/**
 * On each connection in turn: `prepare`, which is not measured and returns what to send, then that request. For requests that can be sent
 * only once, such as the checkout of a bag.
 */
export async function preparedLoop(
  prepare: (connection: number, agent: Agent) => Promise<LoadTarget>,
  connections: number,
  seconds: number,
): Promise<Latency> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const until = performance.now() + seconds * 1000
  const times: number[] = []

  async function oneConnection(_: unknown, connection: number): Promise<void> {
    while (performance.now() < until) {
      const target = await prepare(connection, agent)
      const started = performance.now()
      const { status, text } = await exchange(target, agent, 0)
      times.push(performance.now() - started)
      if (status >= 400) throw new Error(`${target.url} answered ${status}: ${text}`)
    }
  }

  await Promise.all(Array.from({ length: connections }, oneConnection))
  agent.destroy()
  return latency(times)
}

/** One request; resolves with the status once the whole answer has been read. */
export async function send(target: LoadTarget, agent: Agent, n: number): Promise<number> {
  return (await exchange(target, agent, n)).status
}

/** One request and the text of its answer. */
export function exchange(target: LoadTarget, agent: Agent, n: number): Promise<{ status: number; text: string }> {
  const { method = 'GET' } = target
  const url = target.url + (target.path?.(n) ?? '')
  const given = typeof target.headers === 'function' ? target.headers(n) : target.headers
  const body = target.body?.(n)
  const headers = { ...given, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) }
  return new Promise((resolve, reject) => {
    const req = request(url, { agent, method, headers }, (res: IncomingMessage) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('end', () => resolve({ status: res.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
      res.on('error', reject)
    })
    req.on('error', reject)
    req.end(body)
  })
}
