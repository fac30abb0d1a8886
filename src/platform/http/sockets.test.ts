import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

import { Type } from 'typebox'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createToyServer, listen } from '../../../test/support/toy-server.ts'
import type { App } from './app.ts'

/** Short, so that the tests are: the defaults are seconds. */
const limits = {
  bodyTimeoutMs: 300,
  headersTimeoutMs: 300,
  rest: { bytes: 3_000_000, ms: 600 },
  stream: { windowMs: 200, minBytes: 50 },
}

let app: App
let port: number
let received = 0
beforeAll(async () => {
  app = await createToyServer({
    limits,
    routes: (toy) => {
      const body = Type.Object({ name: Type.String() })
      toy.post('/json/', { config: { access: 'open' }, schema: { body } }, async (request) => request.body)
      toy.post('/private/', { schema: { body } }, async (request) => request.body)
      toy.post('/ignored/', { config: { access: 'open' } }, async () => ({ ok: true }))
      toy.post('/upload/', { config: { access: 'open', bodyTypes: ['application/xml'] } }, async (request) => {
        received = 0
        for await (const chunk of request.body as AsyncIterable<Buffer>) received += chunk.length
        return { received }
      })
    },
  })
  port = (await listen(app)).port
})
afterAll(() => app.close())

const head = (path: string, headers: Record<string, string | number>): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${Object.entries({ 'content-type': 'application/json', ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`

it('answers 413 to a Content-Length over the limit before a byte of the body', async () => {
  const client = open()

  client.socket.write(head('/json/', { 'content-length': 2_000_000 }))

  expect(await client.status()).toBe(413)
  client.socket.destroy()
})

it('answers 413 to a chunked body over the limit, readable by a client that is still sending', async () => {
  const client = open()
  client.socket.write(head('/json/', { 'transfer-encoding': 'chunked' }))

  for (let sent = 0; sent < 1_500_000; sent += 50_000) client.socket.write(`c350\r\n${' '.repeat(50_000)}\r\n`)
  client.socket.write('0\r\n\r\n')

  expect(await client.status()).toBe(413)
  client.socket.destroy()
})

it('goes on with the same connection after a refused body that has ended', async () => {
  const client = open()
  client.socket.write(head('/json/', { 'content-length': 1_100_000 }))
  client.socket.write(' '.repeat(1_100_000))
  await client.status()

  client.reset()
  client.socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n')

  expect(await client.status()).toBe(200)
  client.socket.destroy()
})

it('answers 400 to more bytes than Content-Length says, and closes', async () => {
  const client = open()

  client.socket.write(`${head('/json/', { 'content-length': 12 })}{"name":"a"}this is no request\r\n\r\n`)
  await client.closed()

  expect(client.text()).toMatch(/HTTP\/1\.1 400 Bad Request[\s\S]*application\/problem\+json/)
})

it('answers 408 to a body that stops in the middle', async () => {
  const client = open()

  client.socket.write(`${head('/json/', { 'content-length': 100 })}{"name":`)

  expect(await client.status()).toBe(408)
  await client.closed()
})

it('cuts a client that was answered and never stops sending', async () => {
  const client = open()
  client.socket.write(head('/private/', { 'transfer-encoding': 'chunked' }))
  expect(await client.status()).toBe(401)

  const sending = setInterval(() => client.socket.write(`10\r\n${'x'.repeat(16)}\r\n`), 20)
  await client.closed()
  clearInterval(sending)

  expect(client.socket.destroyed).toBe(true)
})

it('takes the rest of the body from a client that asked to be closed, before it closes', async () => {
  const client = open()
  const faults: unknown[] = []
  client.socket.on('error', (error) => faults.push(error))
  client.socket.write(head('/private/', { connection: 'close', 'content-length': 2_000_000 }))
  expect(await client.status()).toBe(401)

  for (let sent = 0; sent < 2_000_000; sent += 50_000) {
    client.socket.write(' '.repeat(50_000))
    await wait(1)
  }
  await client.closed()

  expect(faults).toEqual([])
  expect(client.socket.bytesWritten).toBeGreaterThan(2_000_000)
})

it('closes at once when a client asked for it and has sent everything', async () => {
  const client = open()

  client.socket.write(`${head('/private/', { connection: 'close', 'content-length': 2 })}{}`)
  await client.closed()

  expect(client.text()).toMatch(/^HTTP\/1\.1 401 /)
})

it('cuts a client that pours data into a path that ignores it', async () => {
  const client = open()
  client.socket.write(head('/ignored/', { 'transfer-encoding': 'chunked' }))
  expect(await client.status()).toBe(200)

  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
  const sending = setInterval(() => client.socket.write(chunk.repeat(20)), 10)
  await client.closed()
  clearInterval(sending)

  expect(client.socket.destroyed).toBe(true)
})

it('answers 408 to headers that never end', async () => {
  const client = open()

  client.socket.write('GET /healthz HTTP/1.1\r\nhost: loc')
  await client.closed()

  expect(client.text()).toMatch(/^HTTP\/1\.1 408 /)
})

it.each([
  ['431', `GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`],
  ['400', 'NONSENSE\r\n\r\n'],
  ['400', 'GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n'],
])('answers %s to a request that is none', async (status, text) => {
  const client = open()

  client.socket.write(text)
  await client.closed()

  expect(client.text()).toContain(`HTTP/1.1 ${status} `)
})

it('lets a slow upload through as long as it keeps sending', async () => {
  const client = open()
  client.socket.write(head('/upload/', { 'content-type': 'application/xml', 'content-length': 1_000 }))

  for (let sent = 0; sent < 1_000; sent += 100) {
    await wait(60)
    client.socket.write('x'.repeat(100))
  }

  expect(await client.status()).toBe(200)
  expect(received).toBe(1_000)
  client.socket.destroy()
})

it('answers 408 to an upload that stops sending, and closes', async () => {
  const client = open()
  client.socket.write(head('/upload/', { 'content-type': 'application/xml', 'content-length': 1_000 }))

  client.socket.write('x'.repeat(100))

  expect(await client.status()).toBe(408)
  await client.closed()
})

it('lets a client go ahead with its body only after it was admitted', async () => {
  const refused = open()
  const admitted = open()

  refused.socket.write(head('/private/', { 'content-length': 12, expect: '100-continue' }))
  admitted.socket.write(head('/json/', { 'content-length': 12, expect: '100-continue' }))

  expect(await refused.status()).toBe(401)
  expect(await admitted.status()).toBe(100)
  admitted.reset()
  admitted.socket.write('{"name":"a"}')
  expect(await admitted.status()).toBe(200)
  refused.socket.destroy()
  admitted.socket.destroy()
})

interface Client {
  socket: Socket
  text(): string
  reset(): void
  status(): Promise<number>
  closed(): Promise<void>
}

function open(): Client {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString()
  })
  // A cut connection shows as a reset when we were still writing: that is what these tests are about.
  socket.on('error', () => undefined)
  return {
    socket,
    text: () => text,
    reset: () => {
      text = ''
    },
    status: async () => {
      const until = Date.now() + 5_000
      while (!text.includes('\r\n\r\n') && Date.now() < until) await wait(5)
      return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1])
    },
    closed: async () => {
      // Not `once`, which takes the reset for a failure.
      if (!socket.closed) await new Promise((resolve) => socket.on('close', resolve))
    },
  }
}
