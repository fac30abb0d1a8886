import { Agent, request, type IncomingMessage } from 'node:http'

import { latency, type Latency } from './stats.ts'

export interface LoadTarget {
  url: string
  method?: string
  headers?: Record<string, string>
  /** A body per request, by its running number. */
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

/** One request; resolves with the status once the whole answer has been read. */
export function send(target: LoadTarget, agent: Agent, n: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const body = target.body?.(n)
    const headers = { ...target.headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) }
    const req = request(target.url, { agent, method: target.method ?? 'GET', headers }, (res: IncomingMessage) => {
      res.resume()
      res.on('end', () => resolve(res.statusCode ?? 0))
      res.on('error', reject)
    })
    req.on('error', reject)
    req.end(body)
  })
}
