import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'

import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'

interface Change {
  position: number
  epoch: string
  id: string
  topic: string
  subject: { type: string; id: string }
  data: Record<string, unknown>
  actor: string | null
  time: string
}

type Frame = Partial<Change> & { type: string; topics?: string[]; ref?: string; message?: string; oldest?: number }

let souk: TestApp
let url: string
let user: TestUser
let admin: TestUser

beforeAll(async () => {
  souk = await startTestApp()
  url = await souk.listen()
  user = await souk.signUp()
  admin = await souk.staff()
})

afterAll(() => souk.close())

describe('1. A change, as a reader sees it', () => {
  it('has exactly these members', async () => {
    await rename(user, 'Ada')
    await souk.drain()

    const change = (await read('topics=identity.user.*')).changes.at(-1)

    expect(change).toEqual({
      position: expect.any(Number) as unknown,
      epoch: expect.any(String) as unknown,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
      topic: 'identity.user.updated',
      subject: { type: 'user', id: user.userId },
      data: expect.any(Object) as unknown,
      actor: user.userId,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as unknown,
    })
  })

  it('is listed with its data schema and who hears it, for everybody', async () => {
    const answer = await souk.inject({ method: 'GET', url: '/api/topics/' })
    const { topics } = answer.json<{ topics: Record<string, unknown>[] }>()

    expect(answer.statusCode).toBe(200)
    expect(topics.find(({ topic }) => topic === 'identity.user.updated')).toMatchObject({
      heard_by: expect.any(String) as unknown,
      schema: { type: 'object' },
    })
  })

  it('is heard by whom it is addressed to and by staff, and by nobody else', async () => {
    const stranger = await souk.signUp()
    await rename(user, 'Grace')
    await souk.drain()
    const ofUser = ({ subject }: Change): boolean => subject.id === user.userId

    const [own, theirs, all] = await Promise.all([read(''), read('', stranger), read('limit=500', admin)])

    expect(own.changes.some(ofUser)).toBe(true)
    expect(theirs.changes.some(ofUser)).toBe(false)
    expect(all.changes.some(ofUser)).toBe(true)
  })
})

describe('2. GET /api/changes/', () => {
  it.each(['/api/changes/', '/api/changes'])('answers at %s', async (path) => {
    const answer = await souk.inject({ method: 'GET', url: path, headers: user.headers })

    expect(answer.statusCode).toBe(200)
    expect(Object.keys(answer.json()).toSorted()).toEqual(['changes', 'epoch', 'oldest', 'position'])
  })

  it('answers what follows `since` as soon as there is something', async () => {
    const { position, epoch } = await read('')
    const waiting = read(`since=${position}&epoch=${epoch}&topics=identity.user.*&wait=10`)

    await rename(user, 'Hedy')
    const page = await waiting

    expect(page.changes).toHaveLength(1)
    expect(page.position).toBe(page.changes[0]!.position)
  })

  it('answers 410 with where to go on when it cannot reach back', async () => {
    const { position, epoch } = await read('')

    const other = await souk.inject({
      method: 'GET',
      url: `/api/changes/?since=${position}&epoch=other`,
      headers: user.headers,
    })
    const beyond = await souk.inject({
      method: 'GET',
      url: `/api/changes/?since=${position + 1_000}&epoch=${epoch}`,
      headers: user.headers,
    })

    for (const answer of [other, beyond]) {
      expect(answer.statusCode).toBe(410)
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
      expect(answer.json()).toMatchObject({ status: 410, oldest: 1, epoch, position: expect.any(Number) as unknown })
    }
  })

  it.each(['since=-1&epoch=e', 'since=1', 'limit=0', 'limit=501', 'wait=31', 'topics=**'])(
    'answers 400 for %s',
    async (query) => {
      const answer = await souk.inject({ method: 'GET', url: `/api/changes/?${query}`, headers: user.headers })

      expect(answer.statusCode).toBe(400)
      expect(answer.json()).toHaveProperty('errors')
    },
  )

  it.each(['/api/changes/', '/api/changes/stream/'])('answers 401 at %s without a credential', async (path) => {
    const answer = await souk.inject({ method: 'GET', url: path })

    expect(answer.statusCode).toBe(401)
    expect(answer.headers['www-authenticate']).toBe('Bearer')
  })
})

describe('3. GET /api/changes/stream/', () => {
  it('sends the missed changes after Last-Event-ID, caught-up, and then what is new', async () => {
    const { position, epoch } = await read('')
    await rename(user, 'Joan')
    await souk.drain()
    const stream = await fetch(`${url}/api/changes/stream/?topics=identity.user.*`, {
      headers: { ...user.headers, 'last-event-id': `${epoch}:${position}` },
    })
    const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (!text.includes('event: caught-up')) text += (await reader.read()).value
    await rename(user, 'Karen')
    while (text.split('event: identity.user.updated').length < 3) text += (await reader.read()).value
    await reader.cancel()

    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect([...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)).toEqual([
      'identity.user.updated',
      'caught-up',
      'identity.user.updated',
    ])
    const data = JSON.parse(/^data: (.*)$/m.exec(text)![1]!) as Change
    expect(text).toContain(`id: ${epoch}:${data.position}\nevent: identity.user.updated\ndata: `)
  })
})

describe('4. /ws/changes/', () => {
  it('takes every kind of credential', async () => {
    const login = { username: user.username, password: user.password }
    const jwt = await souk.inject({ method: 'POST', url: '/api/token/', payload: login })
    const signIn = await souk.inject({ method: 'POST', url: '/api/auth/signin/', payload: login })
    const session = signIn.cookies.find(({ name }) => name === 'sessionid')!.value
    const basic = Buffer.from(`${user.username}:${user.password}`).toString('base64')

    const sockets = [
      open({ headers: user.headers }),
      open({ headers: { authorization: `Bearer ${jwt.json<{ access: string }>().access}` } }),
      open({ headers: { cookie: `sessionid=${session}`, origin: 'http://localhost:3000' } }),
      open({ headers: { authorization: `Basic ${basic}` } }),
      open({ query: `?access_token=${user.token}` }),
      open({ query: `?token=${user.token}` }),
    ]
    await Promise.all(sockets.map((socket) => once(socket, 'open')))

    expect(sockets.map(({ readyState }) => readyState)).toEqual(sockets.map(() => WebSocket.OPEN))
    for (const socket of sockets) socket.terminate()
  })

  it('refuses the handshake with a problem document', async () => {
    const login = { username: user.username, password: user.password }
    const signIn = await souk.inject({ method: 'POST', url: '/api/auth/signin/', payload: login })
    const cookie = `sessionid=${signIn.cookies.find(({ name }) => name === 'sessionid')!.value}`

    expect(await refusal(open({}))).toBe(401)
    expect(await refusal(open({ query: '?token=wrong' }))).toBe(401)
    expect(await refusal(open({ headers: { authorization: 'Bearer a.b.c' } }))).toBe(401)
    expect(await refusal(open({ headers: { cookie: 'sessionid=wrong' } }))).toBe(401)
    expect(await refusal(open({ headers: { cookie, origin: 'https://evil.example' } }))).toBe(403)
  })

  it('answers subscribe, unsubscribe, ping and anything else', async () => {
    const client = await connect(user)

    client.send({ action: 'subscribe', topics: ['identity.*'], ref: '1' })
    client.send({ action: 'unsubscribe', topics: ['identity.*'], ref: '2' })
    client.send({ action: 'ping', ref: '3' })
    client.send({ action: 'dance', ref: '4' })
    await client.until(4)

    const position = client.frames[0]!.position
    expect(client.frames).toEqual([
      { type: 'subscribed', topics: ['identity.*'], position, epoch: expect.any(String) as unknown, ref: '1' },
      { type: 'unsubscribed', topics: ['identity.*'], ref: '2' },
      { type: 'pong', position: expect.any(Number) as unknown, ref: '3' },
      { type: 'error', message: expect.any(String) as unknown, ref: '4' },
    ])
    client.socket.terminate()
  })

  it('sends what was missed since a position in order, caught-up, and then what is new', async () => {
    const { position, epoch } = await read('')
    for (const name of ['Mary', 'Rosa']) await rename(user, name)
    await souk.drain()
    const client = await connect(user)

    client.send({ action: 'subscribe', topics: ['identity.user.*'], since: position, epoch })
    await client.until(4)
    await rename(user, 'Tabitha')
    await client.until(5)

    expect(client.frames.map(({ type }) => type)).toEqual(['subscribed', 'change', 'change', 'caught-up', 'change'])
    const positions = client.frames.filter(({ type }) => type === 'change').map((frame) => frame.position!)
    expect(positions).toEqual(positions.toSorted((a, b) => a - b))
    expect(client.frames[1]).toMatchObject({
      topic: 'identity.user.updated',
      subject: { type: 'user', id: user.userId },
    })
    client.socket.terminate()
  })

  it('says that there is a gap and goes on from there', async () => {
    const client = await connect(user)

    client.send({ action: 'subscribe', topics: ['identity.user.*'], since: 0, epoch: 'another' })
    await client.until(2)
    await rename(user, 'Vera')
    await client.until(3)

    expect(client.frames.map(({ type }) => type)).toEqual(['subscribed', 'gap', 'change'])
    expect(Object.keys(client.frames[1]!).toSorted()).toEqual(['epoch', 'oldest', 'position', 'type'])
    client.socket.terminate()
  })

  it('closes with 4401 when the credential ends, and only what depends on it', async () => {
    const other = await souk.signUp()
    const login = { username: other.username, password: other.password }
    const jwt = await souk.inject({ method: 'POST', url: '/api/token/', payload: login })
    const byToken = await connect(other)
    const byJwt = await connect({ token: jwt.json<{ access: string }>().access })
    const stranger = await connect(user)

    await souk.inject({ method: 'POST', url: '/api/auth/logout/', headers: other.headers })
    const [code] = (await once(byToken.socket, 'close')) as [number]
    byJwt.send({ action: 'ping' })
    await byJwt.until(1)
    await souk.inject({
      method: 'DELETE',
      url: `/api/user/${other.userId}/`,
      headers: { authorization: `Bearer ${jwt.json<{ access: string }>().access}` },
    })
    const [afterDeletion] = (await once(byJwt.socket, 'close')) as [number]

    expect([code, afterDeletion]).toEqual([4401, 4401])
    expect(stranger.socket.readyState).toBe(WebSocket.OPEN)
    stranger.socket.terminate()
  })
})

interface Page {
  epoch: string
  position: number
  oldest: number
  changes: Change[]
}

async function read(query: string, as: TestUser = user): Promise<Page> {
  const answer = await souk.inject({ method: 'GET', url: `/api/changes/?${query}`, headers: as.headers })
  return answer.json<Page>()
}

async function rename(whom: TestUser, firstName: string): Promise<void> {
  const answer = await souk.inject({
    method: 'PUT',
    url: `/api/user/${whom.userId}/`,
    headers: whom.headers,
    payload: { first_name: firstName },
  })
  expect(answer.statusCode).toBe(200)
}

function open({ query = '', headers = {} }: { query?: string; headers?: Record<string, string> }): WebSocket {
  return new WebSocket(`${url.replace('http', 'ws')}/ws/changes/${query}`, { headers })
}

async function refusal(socket: WebSocket): Promise<number> {
  socket.on('error', () => undefined)
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json/)
  response.resume()
  return response.statusCode ?? 0
}

async function connect({ token }: { token: string }) {
  const socket = open({ headers: { authorization: `Bearer ${token}` } })
  const frames: Frame[] = []
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as Frame))
  await once(socket, 'open')
  return {
    socket,
    frames,
    send: (frame: unknown): void => socket.send(JSON.stringify(frame)),
    until: async (count: number): Promise<void> => {
      await expect.poll(() => frames.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(count)
    },
  }
}
