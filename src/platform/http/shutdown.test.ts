import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

import { expect, it } from 'vitest'

import { createToyServer, listen } from '../../../test/support/toy-server.ts'
import type { App } from './app.ts'

function slowRoutes(ms: number): (app: App) => void {
  return (app) => {
    app.get('/slow/', { config: { access: 'open' } }, async () => {
      await wait(ms)
      return { done: true }
    })
  }
}

it('finishes running requests and then closes their kept connections', async () => {
  const app = await createToyServer({ routes: slowRoutes(300) })
  const { url } = await listen(app)
  const running = fetch(`${url}/slow/`)
  await wait(100)
  const started = Date.now()

  await app.close()

  expect(await (await running).json()).toEqual({ done: true })
  expect(Date.now() - started).toBeLessThan(2_000)
})

it('answers 503 and closes when a kept connection brings a new request', async () => {
  const app = await createToyServer({ routes: slowRoutes(400) })
  const { url } = await listen(app)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString()
  })
  // The second request waits behind the first on the same connection, as browsers and proxies may send it.
  socket.write('GET /slow/ HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await wait(100)

  const closing = app.close()
  socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await Promise.all([closing, once(socket, 'close')])

  expect(text).toContain('{"done":true}')
  expect(text).toMatch(/HTTP\/1\.1 503 [\s\S]*connection: close/i)
})

it('cuts what still runs when the grace period is over', async () => {
  const app = await createToyServer({ routes: slowRoutes(60_000), limits: { closeGraceMs: 300 } })
  const { url } = await listen(app)
  const running = fetch(`${url}/slow/`).then(
    () => 'answered',
    () => 'cut',
  )
  await wait(100)

  await app.close()

  expect(await running).toBe('cut')
})

it('closes connections that are idle or have sent nothing', async () => {
  const app = await createToyServer()
  const { url } = await listen(app)
  const agent = new Agent({ keepAlive: true })
  await new Promise((resolve) => get(`${url}/healthz`, { agent }, (response) => response.resume().on('end', resolve)))
  const silent = connect(Number(new URL(url).port), '127.0.0.1')
  await wait(50)
  const started = Date.now()

  await app.close()

  expect(Date.now() - started).toBeLessThan(2_000)
  agent.destroy()
  silent.destroy()
})
