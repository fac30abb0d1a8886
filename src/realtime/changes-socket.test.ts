import { once } from 'node:events'
import { connect } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { openClient, recordNote, recordThing, refusedHandshake, startRig, type Rig } from './test-rig.ts'

let database: TestDatabase
let rig: Rig

beforeAll(async () => {
  database = await createTestDatabase()
  rig = await startRig(database.url)
})

afterAll(async () => {
  await rig.stop()
  await database.drop()
})

describe('the handshake of /ws/changes/', () => {
  it.each([
    ['/ws/changes/', { authorization: 'Bearer ada' }],
    ['/ws/changes', { authorization: 'Bearer ada' }],
    ['/ws/changes/?access_token=ada', {}],
    ['/ws/changes?token=ada', {}],
    ['/ws/changes/?token=ada', { origin: 'https://evil.example' }],
    ['/ws/changes/', { cookie: 'sessionid=ada', origin: 'http://localhost:3000' }],
    ['/ws/changes/', { cookie: 'sessionid=ada' }],
  ])('opens %s with %j', async (path, headers) => {
    const socket = new WebSocket(rig.url.replace('http', 'ws') + path, { headers })

    await once(socket, 'open')

    expect(socket.extensions).toBe('')
    socket.terminate()
  })

  it.each([
    ['no credential', '/ws/changes/', {}, 401],
    ['an empty token', '/ws/changes/?token=', {}, 401],
    ['a bad token', '/ws/changes/?token=bad', {}, 401],
    ['a bad header beside a good token', '/ws/changes/?token=ada', { authorization: 'Bearer bad' }, 401],
    ['a cookie of a foreign page', '/ws/changes/', { cookie: 'sessionid=ada', origin: 'https://evil.example' }, 403],
    ['a cookie of a page without an origin', '/ws/changes/', { cookie: 'sessionid=ada', origin: 'null' }, 403],
    ['a credential without scope read', '/ws/changes/', { authorization: 'Bearer ada/s+writes' }, 403],
    ['an unknown path', '/ws/nowhere/', { authorization: 'Bearer ada' }, 404],
  ])('answers %s with the right document', async (_what, path, headers, status) => {
    const answer = await refusedHandshake(rig.url + path, { headers })

    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject({ status, detail: expect.any(String) as unknown })
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(answer.headers['www-authenticate']).toBe(status === 401 ? 'Bearer' : undefined)
  })

  it('tells a plain request to upgrade', async () => {
    const answer = await fetch(`${rig.url}/ws/changes/`)

    expect(answer.status).toBe(426)
    expect(answer.headers.get('upgrade')).toBe('websocket')
    expect(await answer.json()).toMatchObject({ status: 426 })
  })

  it('refuses a handshake without a key, and goes on serving', async () => {
    const head = 'GET /ws/changes/?token=ada HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'

    expect(await raw(`${head}Sec-WebSocket-Version: 13\r\n\r\n`)).toMatch(/^HTTP\/1.1 400 /)
    expect(
      await raw(`${head}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 99\r\n\r\n`),
    ).toMatch(/^HTTP\/1.1 400 [^]*sec-websocket-version: 13/i)
  })

  it('serves a request that offers another protocol as if it had not, with its body and the next request', async () => {
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
    const body = '{"a":1}'
    const post = `POST /api/topics/ HTTP/1.1\r\nHost: x\r\n${offer}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

    const answers = await raw(`${post}GET /api/topics/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)

    expect(answers).toMatch(/^HTTP\/1.1 405 [^]*HTTP\/1.1 200 /)
  })

  it('limits the sockets of one user and no other', async () => {
    const small = await startRig(database.url, { socketsPerUser: 2 })
    const clients = [await openClient(small.url, 'bob'), await openClient(small.url, 'bob')]

    const answer = await refusedHandshake(`${small.url}/ws/changes/?token=bob`)
    const other = await openClient(small.url, 'eve')
    clients[0]!.socket.close()
    await clients[0]!.closed
    const again = await openClient(small.url, 'bob')

    expect(answer.status).toBe(429)
    expect(answer.headers['retry-after']).toBe('1')
    for (const client of [other, again]) client.socket.terminate()
    await small.stop()
  })
})

describe('frames of /ws/changes/', () => {
  it('brings what is public and what is for the user, and nothing else', async () => {
    const client = await openClient(rig.url, 'ada')
    const subscribed = await client.subscribe(['test.*'])

    await recordNote(rig.db, 1, ['bob', 'staff'])
    await recordNote(rig.db, 2, ['ada', 'staff'])
    const id = await recordThing(rig.db, 3)
    await client.until(() => client.heard.includes(3))

    expect(subscribed).toMatchObject({ topics: ['test.*'], position: expect.any(Number) as unknown })
    expect(client.heard).toEqual([2, 3])
    expect(client.frames.at(-1)).toEqual({
      type: 'change',
      position: subscribed.position + 3,
      epoch: subscribed.epoch,
      id,
      topic: 'test.thing.changed',
      subject: { type: 'thing', id: '3' },
      data: { n: 3 },
      actor: null,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as unknown,
    })
    client.socket.terminate()
  })

  it('brings staff everything', async () => {
    const client = await openClient(rig.url, 'boss/s+staff')
    await client.subscribe(['*'])

    await recordNote(rig.db, 1, ['bob'])
    await recordNote(rig.db, 2, ['staff'])
    await client.until(() => client.heard.length === 2)

    expect(client.heard).toEqual([1, 2])
    client.socket.terminate()
  })

  it('answers each request with its ref, and keeps the socket open after mistakes', async () => {
    const client = await openClient(rig.url, 'ada')

    client.send('not json')
    client.send([])
    client.send({ action: 'shout', ref: 'a' })
    client.send({ action: 'subscribe', topics: [7], ref: 'b' })
    client.socket.send(Buffer.from('{"action":"ping"}'), { binary: true })
    client.send({ action: 'subscribe', topics: ['test.*', 'test.*'], ref: 'c' })
    client.send({ action: 'unsubscribe', topics: ['test.*', 'never.*'], ref: 'd' })
    client.send({ action: 'ping', ref: 'e' })
    const pong = await client.next('pong')

    expect(client.frames.map(({ type, ref }) => [type, ref])).toEqual([
      ['error', undefined],
      ['error', undefined],
      ['error', 'a'],
      ['error', 'b'],
      ['error', undefined],
      ['subscribed', 'c'],
      ['unsubscribed', 'd'],
      ['pong', 'e'],
    ])
    expect(pong.position).toBe(client.frames[5]!.position)
    client.socket.terminate()
  })

  it('brings nothing of a topic after it was unsubscribed', async () => {
    const client = await openClient(rig.url, 'ada')
    await client.subscribe(['test.thing.*', 'test.note.*'])
    client.send({ action: 'unsubscribe', topics: ['test.thing.*'] })
    await client.next('unsubscribed')

    await recordThing(rig.db, 1)
    await recordNote(rig.db, 2, ['ada'])
    await client.until(() => client.heard.length > 0)

    expect(client.heard).toEqual([2])
    client.socket.terminate()
  })

  it('takes 50 topics and refuses the next', async () => {
    const client = await openClient(rig.url, 'ada')
    await client.subscribe(Array.from({ length: 50 }, (_, n) => `topic.number.${n}`))

    client.send({ action: 'subscribe', topics: ['topic.number.50'] })
    const error = await client.next('error')
    client.send({ action: 'subscribe', topics: ['topic.number.49'], ref: 'known' })
    client.send({ action: 'unsubscribe', topics: ['topic.number.0'] })
    client.send({ action: 'subscribe', topics: ['topic.number.50'], ref: 'room' })
    await client.until(() => client.frames.some(({ ref }) => ref === 'room'))

    expect(error.message).toContain('50 topics')
    expect(client.frames.at(-1)).toMatchObject({ type: 'subscribed', ref: 'room' })
    client.socket.terminate()
  })

  it('closes with 1009 above 64 KiB and takes a frame of exactly that', async () => {
    const client = await openClient(rig.url, 'ada')

    client.send(pingOf(64 * 1024))
    await client.next('pong')
    client.send(pingOf(64 * 1024 + 1))

    expect(await client.closed).toBe(1009)
  })

  it('closes with 1008 at the 61st frame in ten seconds', async () => {
    const client = await openClient(rig.url, 'ada')

    for (let n = 0; n < 60; n++) client.send({ action: 'ping' })
    await client.until(() => client.frames.length === 60)
    client.send({ action: 'ping' })

    expect(await client.closed).toBe(1008)
    expect(client.frames).toHaveLength(60)
  })

  it('counts protocol pings like frames', async () => {
    const client = await openClient(rig.url, 'ada')

    for (let n = 0; n < 61; n++) client.socket.ping()

    expect(await client.closed).toBe(1008)
  })

  it('closes with 1001 when the server stops', async () => {
    const second = await startRig(database.url)
    const clients = [await openClient(second.url, 'ada'), await openClient(second.url, 'ada', { autoPong: false })]

    await second.stop()

    expect(await Promise.all(clients.map(({ closed }) => closed))).toEqual([1001, 1001])
  })
})

describe('a client that has died', () => {
  it('is cut off after two pings without an answer, one that answers is not', async () => {
    const quick = await startRig(database.url, { pingEveryMs: 90 })
    const dead = await openClient(quick.url, 'ada', { autoPong: false })
    const alive = await openClient(quick.url, 'ada')
    const before = Date.now()

    const code = await dead.closed

    expect(code).toBe(1006)
    expect(Date.now() - before).toBeGreaterThan(170)
    expect(alive.closeCode).toBeUndefined()
    await expect.poll(() => quick.realtime.stats().sockets).toBe(1)
    await quick.stop()
  })
})

/** A frame of this many bytes. */
function pingOf(bytes: number): string {
  return `{"action":"ping","x":"${'x'.repeat(bytes - 24)}"}`
}

/** Sends the text and returns everything that comes back until the connection ends. */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(rig.url).port), '127.0.0.1')
  socket.write(text)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
