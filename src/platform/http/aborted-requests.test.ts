import { EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'

import { pino } from 'pino'
import { expect, it } from 'vitest'

import { alice, createToyServer, listen } from '../../../test/support/toy-server.ts'
import { until } from '../../../test/support/until.ts'
import { InvalidError } from '../errors.ts'

/** A server that looks at a credential until its door opens. */
async function startSlowDoor() {
  const ended: { path: string; status: number; aborted?: true }[] = []
  const write = (line: string): void => {
    const { msg, path, status, aborted } = JSON.parse(line) as { msg: string } & (typeof ended)[number]
    if (msg === 'request') ended.push({ path, status, ...(aborted === undefined ? {} : { aborted }) })
  }
  const door = new EventEmitter()
  const authenticate = async () => {
    await once(door, 'open')
    return alice
  }
  const app = await createToyServer({
    log: pino({}, { write }),
    authenticate,
    routes: (toy) => {
      toy.post('/stream/', { config: { bodyTypes: ['application/gzip'] } }, async ({ body }) => {
        for await (const chunk of body as AsyncIterable<Buffer>) void chunk
        return {}
      })
      toy.post('/refused/', { config: { access: 'open', bodyTypes: ['application/gzip'] } }, async () => {
        throw new InvalidError('No.')
      })
      toy.get('/events/', { config: { access: 'open' } }, async (_request, reply) => {
        const events = new PassThrough()
        events.write('first')
        return reply.send(events)
      })
      toy.post('/json/', { config: { bodyTypes: ['json'] } }, async () => ({}))
    },
  })
  return { app, ended, door, ...(await listen(app)) }
}

it.each([
  ['/stream/', 'application/gzip'],
  ['/json/', 'application/json'],
])('lets go of an upload to %s whose client went away before its credential was found good', async (path, type) => {
  const { app, ended, door, port } = await startSlowDoor()
  const client = connect(port, '127.0.0.1')
  client.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Token alice\r\ncontent-type: ${type}\r\ncontent-length: 999\r\n\r\n{`,
  )
  await wait(100)
  const timers = countTimers()

  client.destroy()
  await wait(100)
  door.emit('open')

  await until('the request is over', () => ended.length > 0)
  expect(ended).toEqual([{ path, status: 400, aborted: true }])
  expect(countTimers()).toBeLessThanOrEqual(timers)
  await app.close()
})

it.each([1, 60_000, 500_000])('watches no upload of %i bytes any more that was refused unread', async (bytes) => {
  const { app, url } = await startSlowDoor()
  const post = () =>
    fetch(`${url}/refused/`, {
      method: 'POST',
      headers: { 'content-type': 'application/gzip' },
      body: Buffer.alloc(bytes),
    }).then((response) => response.text())
  await post()
  await wait(100)
  const timers = countTimers()

  for (let n = 0; n < 10; n++) await post()

  await until('their timers are gone', () => countTimers() <= timers + 2, 3_000)
  expect(countTimers()).toBeLessThanOrEqual(timers + 2)
  await app.close()
})

it('logs once what is answered by a stream when the client has enough of it', async () => {
  const { app, ended, port } = await startSlowDoor()
  const client = connect(port, '127.0.0.1')
  client.write('GET /events/ HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(client, 'data')

  client.destroy()

  await until('the request is over', () => ended.length > 0)
  await wait(100)
  expect(ended).toEqual([{ path: '/events/', status: 200, aborted: true }])
  await app.close()
})

it('logs once what is answered to the end, also when the client closes behind it', async () => {
  const { app, ended, port } = await startSlowDoor()
  const client = connect(port, '127.0.0.1')
  client.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')

  await once(client.resume(), 'close')

  await app.close()
  expect(ended.filter(({ aborted }) => aborted)).toEqual([])
})

function countTimers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}
