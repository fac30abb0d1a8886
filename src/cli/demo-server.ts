import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'

import { WebSocket } from 'ws'

import { UsageError } from './command.ts'

const PATIENCE_MS = 30_000

export interface DemoUser {
  id: string
  name: string
  username: string
  email: string
  headers: { authorization: string }
}

/** A change as it came to a socket. */
export interface ArrivedChange {
  /** By `performance.now()`. */
  arrivedAt: number
  change: { topic: string; data: { state?: string } }
}

export interface DemoSocket {
  /** The next change, waited for. */
  next(): Promise<ArrivedChange>
  close(): void
}

/** A running server as anybody sees it: all that the demo does goes through its public API. */
export interface DemoServer {
  url: string
  send<T>(method: 'GET' | 'POST' | 'PUT', path: string, user?: DemoUser, body?: FormData | object): Promise<T>
  signUp(name: string, username: string): Promise<DemoUser>
  /** Undefined when the name and password are refused. */
  signIn(username: string, password: string): Promise<DemoUser | undefined>
  listen(user: DemoUser, topic: string): Promise<DemoSocket>
}

export function openDemoServer(url: string): DemoServer {
  const request = (method: string, path: string, user?: DemoUser, body?: FormData | object): Promise<Response> => {
    const isJson = body !== undefined && !(body instanceof FormData)
    return fetch(url + path, {
      method,
      headers: { ...user?.headers, ...(isJson ? { 'content-type': 'application/json' } : {}) },
      ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : body }),
    })
  }

  const send: DemoServer['send'] = async <T>(...args: Parameters<typeof request>) => {
    const response = await request(...args)
    if (!response.ok) throw new UsageError(`${url}${args[1]} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as T
  }

  const signIn: DemoServer['signIn'] = async (username, password) => {
    const response = await request('POST', '/api/auth/login/', undefined, { username, password })
    if (response.status >= 400 && response.status < 500) return undefined
    const { token } = (await response.json()) as { token: string }
    const user = { id: '', name: username, username, email: '', headers: { authorization: `Token ${token}` } }
    const { id, email } = await send<{ id: string; email: string }>('GET', '/api/users/me/', user)
    return { ...user, id, email }
  }

  return {
    url,
    send,
    signIn,
    signUp: async (name, username) => {
      const password = randomBytes(9).toString('base64url')
      const account = { username, password, first_name: name, last_name: 'Demo', email: `${username}@example.com` }
      await send('POST', '/api/users/', undefined, account)
      const user = await signIn(username, password)
      if (user === undefined) throw new UsageError(`${username} has signed up and cannot sign in.`)
      return { ...user, name }
    },
    listen: (user, topic) => listen(`${url.replace('http', 'ws')}/ws/changes/`, user, topic),
  }
}

async function listen(url: string, user: DemoUser, topic: string): Promise<DemoSocket> {
  const socket = new WebSocket(url, { headers: user.headers })
  const arrived: ArrivedChange[] = []
  let isSubscribed = false
  socket.on('open', () => socket.send(JSON.stringify({ action: 'subscribe', topics: [topic] })))
  socket.on('message', (raw: Buffer) => {
    const frame = JSON.parse(raw.toString()) as ArrivedChange['change'] & { type: string }
    if (frame.type === 'subscribed') isSubscribed = true
    if (frame.type === 'change') arrived.push({ arrivedAt: performance.now(), change: frame })
  })
  await until('the socket is subscribed', () => isSubscribed)
  return {
    next: () => until('the change arrives', () => arrived.shift()),
    close: () => socket.close(),
  }
}

/** What `find` returns once that is something; throws UsageError when it takes too long. */
export async function until<T>(
  what: string,
  find: () => T | undefined | false | Promise<T | undefined | false>,
  pauseMs = 5,
): Promise<T> {
  const limit = Date.now() + PATIENCE_MS
  for (;;) {
    const found = await find()
    if (found !== undefined && found !== false) return found
    if (Date.now() > limit) throw new UsageError(`Waited in vain: ${what}. Is a worker running?`)
    await wait(pauseMs)
  }
}
