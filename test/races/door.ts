import { Agent, request, type IncomingMessage } from 'node:http'

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  headers: Record<string, string>
  /** Sent as JSON. */
  body?: unknown
}

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  text: string
}

/** Kept-alive connections to one or more servers; each call goes to the next one. */
export interface Door {
  send(call: Call): Promise<Answer>
  close(): void
}

const PATIENCE_MS = 60_000

export function openDoor(urls: () => readonly string[], sockets: number): Door {
  const agent = new Agent({ keepAlive: true, maxSockets: sockets })
  let calls = 0
  return {
    send: (call) => {
      const servers = urls()
      return exchange(agent, servers[calls++ % servers.length]!, call)
    },
    close: () => agent.destroy(),
  }
}

function exchange(agent: Agent, url: string, { method, path, headers, body }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const content =
      text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const sent = request(`${url}${path}`, { agent, method, headers: { ...headers, ...content }, timeout: PATIENCE_MS })
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${path} was not answered in ${PATIENCE_MS / 1000} s`)))
    sent.on('error', reject)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
    sent.end(text)
  })
}

/** The body as the contract says it is; what is not JSON throws. */
export function json(answer: Answer): Body {
  return JSON.parse(answer.text) as Body
}

/** Those members of answers that races look at. */
export interface Body {
  id: string
  state: string
  error: string
  stock: Record<string, number>
  items: { quantity: number }[]
}
