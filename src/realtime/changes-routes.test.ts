import { connect } from 'node:net'

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { hiddenThings, recordNote, recordThing, recordThings, startRig, type Rig } from './test-rig.ts'

interface Answer {
  status: number
  epoch: string
  position: number
  oldest: number
  changes: { position: number; topic: string; data: { n: number } }[]
  errors: Record<string, string[]>
}

let database: TestDatabase
let rig: Rig

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 })
  rig = await startRig(database.url)
})

beforeEach(() => hiddenThings.clear())

afterAll(async () => {
  await rig.stop()
  await database.drop()
})

describe('GET /api/changes/', () => {
  it('answers the last changes the caller may see, in order', async () => {
    const start = await head()
    await recordThings(rig.db, 1, 3)
    await recordNote(rig.db, 4, ['bob', 'staff'])
    await recordNote(rig.db, 5, ['ada', 'staff'])
    await settle(start.position + 5)

    const answer = await get('?limit=3')

    expect(answer.status).toBe(200)
    expect(answer.changes.map(({ data }) => data.n)).toEqual([2, 3, 5])
    expect(answer.changes[0]).toEqual({
      position: start.position + 2,
      epoch: start.epoch,
      id: expect.any(String) as unknown,
      topic: 'test.thing.changed',
      subject: { type: 'thing', id: '2' },
      data: { n: 2 },
      actor: null,
      time: expect.stringMatching(/\.\d{6}Z$/) as unknown,
    })
    expect(answer).toMatchObject({ epoch: start.epoch, position: start.position + 5, oldest: 1 })
  })

  it('looks back behind those that the caller may not see', async () => {
    const start = await head()
    await recordThings(rig.db, 1, 3)
    await recordThings(rig.db, 4, 247)
    for (let n = 4; n <= 250; n++) hiddenThings.add(String(n))
    await settle(start.position + 250)

    const answer = await get('?limit=3')

    expect(answer.changes.map(({ data }) => data.n)).toEqual([1, 2, 3])
    expect(answer.position).toBe(start.position + 250)
  })

  it('pages on from a position and says how far it has read, also where nothing matched', async () => {
    const start = await head()
    await recordThings(rig.db, 1, 5)
    await recordNote(rig.db, 6, ['bob'])
    await settle(start.position + 6)
    const from = (since: number): string => `?epoch=${start.epoch}&limit=3&since=${since}`

    const first = await get(from(start.position))
    const second = await get(from(first.position))
    const third = await get(from(second.position))
    const nothing = await get(`${from(start.position)}&topics=unheard.*,of.topic`)

    expect(first.changes.map(({ data }) => data.n)).toEqual([1, 2, 3])
    expect(second.changes.map(({ data }) => data.n)).toEqual([4, 5])
    expect([first, second, third, nothing].map(({ position }) => position - start.position)).toEqual([3, 6, 6, 6])
    expect(nothing.changes).toEqual([])
  })

  it('leaves out what the caller may no longer see, and reads on where a page is hidden as a whole', async () => {
    const start = await head()
    await recordThing(rig.db, 1, { subjectId: 'hidden' })
    await recordThing(rig.db, 2, { subjectId: 'hidden' })
    await recordThing(rig.db, 3)
    hiddenThings.add('hidden')
    await settle(start.position + 3)

    const answer = await get(`?since=${start.position}&epoch=${start.epoch}&limit=1`)

    expect(answer.changes.map(({ data }) => data.n)).toEqual([3])
  })

  it('shows staff everything', async () => {
    const start = await head()
    await recordNote(rig.db, 1, ['bob'])
    await settle(start.position + 1)

    const answer = await get(`?since=${start.position}&epoch=${start.epoch}`, 'boss/s+staff')

    expect(answer.changes).toHaveLength(1)
  })

  it('waits for something to answer, and no longer than asked', async () => {
    const start = await head()
    const url = `?since=${start.position}&epoch=${start.epoch}&topics=test.note.*`

    const waiting = get(`${url}&wait=10`)
    const before = Date.now()
    const empty = await get(`${url}&wait=0.3`)
    const waited = Date.now() - before
    await recordThing(rig.db, 1)
    await recordNote(rig.db, 2, ['ada'])
    const answer = await waiting

    expect(empty).toMatchObject({ status: 200, changes: [] })
    expect(waited).toBeGreaterThanOrEqual(290)
    expect(answer.changes.map(({ data }) => data.n)).toEqual([2])
    expect(answer.position).toBe(start.position + 2)
  })

  it('lets go of a reader that has gone, and of everybody when the server stops', async () => {
    const other = await startRig(database.url)
    const socket = connect(Number(new URL(other.url).port), '127.0.0.1')
    socket.write('GET /api/changes/?wait=30&topics=none HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\n\r\n')
    await expect.poll(() => other.realtime.stats().streams).toBe(1)
    socket.destroy()
    await expect.poll(() => other.realtime.stats().streams).toBe(0)

    const headers = { authorization: 'Bearer ada' }
    const waiting = fetch(`${other.url}/api/changes/?wait=30&topics=none`, { headers })
    const stream = await fetch(`${other.url}/api/changes/stream/`, { headers })
    await expect.poll(() => other.realtime.stats().streams).toBe(2)
    const before = Date.now()
    await other.stop()

    expect((await waiting).status).toBe(200)
    expect(await stream.text()).toContain('caught-up')
    expect(Date.now() - before).toBeLessThan(3_000)
  })

  it('limits what one user keeps waiting', async () => {
    const small = await startRig(database.url, { streamsPerUser: 1 })
    const headers = { authorization: 'Bearer ada' }
    const stream = await fetch(`${small.url}/api/changes/stream/`, { headers })

    const refused = await fetch(`${small.url}/api/changes/?wait=1`, { headers })
    const atOnce = await fetch(`${small.url}/api/changes/`, { headers })

    expect([refused.status, refused.headers.get('retry-after'), atOnce.status]).toEqual([429, '1', 200])
    await small.stop()
    await stream.text()
  })

  it.each([
    ['another epoch', (at: Answer) => `since=${at.position}&epoch=another`],
    ['a position beyond the head', (at: Answer) => `since=${at.position + 1_000}&epoch=${at.epoch}`],
  ])('answers 410 for %s, with where to go on', async (_what, query) => {
    const at = await head()

    const answer = await get(`?${query(at)}`)

    expect(answer).toMatchObject({ status: 410, oldest: 1, position: at.position, epoch: at.epoch })
  })

  it.each([
    ['since=-1&epoch=e', 'since'],
    ['since=1.5&epoch=e', 'since'],
    ['since=x&epoch=e', 'since'],
    ['since=&epoch=e', 'since'],
    ['since=1', 'epoch'],
    ['since=1&epoch=', 'epoch'],
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['limit=ten', 'limit'],
    ['wait=-1', 'wait'],
    ['wait=31', 'wait'],
    ['topics=a.*.b', 'topics'],
    ['topics=a,,b', 'topics'],
    ['topics=%F0%9F%92%A5', 'topics'],
  ])('answers 400 for %s', async (query, field) => {
    const answer = await get(`?${query}`)

    expect(answer.status).toBe(400)
    expect(Object.keys(answer.errors)).toEqual([field])
  })

  it.each(['/api/changes/', '/api/changes/stream/'])('needs a credential with scope read at %s', async (path) => {
    const bare = await fetch(rig.url + path)
    const writer = await fetch(rig.url + path, { headers: { authorization: 'Bearer ada/s+writes' } })

    expect([bare.status, writer.status]).toEqual([401, 403])
  })
})

describe('GET /api/changes/stream/', () => {
  it('resumes after the last event, says when it has caught up, and goes on', async () => {
    const start = await head()
    await recordThings(rig.db, 1, 2)
    await settle(start.position + 2)
    const stream = await openStream('?since=0&epoch=ignored', { 'last-event-id': `${start.epoch}:${start.position}` })
    await stream.until('event: caught-up')
    await recordThing(rig.db, 3)
    await stream.until('"n":3')

    expect(stream.contentType).toMatch(/^text\/event-stream/)
    expect(stream.events().map(({ event }) => event)).toEqual([
      'test.thing.changed',
      'test.thing.changed',
      'caught-up',
      'test.thing.changed',
    ])
    expect(stream.events().map(({ id }) => id)).toEqual([1, 2, 2, 3].map((n) => `${start.epoch}:${start.position + n}`))
    expect(stream.events()[0]!.data).toMatchObject({ position: start.position + 1, epoch: start.epoch, data: { n: 1 } })
    expect(stream.events()[0]!.data).not.toHaveProperty('type')
    await stream.cancel()
  })

  it('says that there is a gap and goes on from the head', async () => {
    const start = await head()
    const stream = await openStream(`?since=${start.position}&epoch=another`)
    await stream.until('event: caught-up')
    await recordThing(rig.db, 1)
    await stream.until('"n":1')

    expect(stream.events().map(({ event }) => event)).toEqual(['gap', 'caught-up', 'test.thing.changed'])
    expect(stream.events()[0]!.data).toEqual({ epoch: start.epoch, oldest: 1, position: start.position })
    await stream.cancel()
  })

  it('sends a comment now and then', async () => {
    const quick = await startRig(database.url, { heartbeatEveryMs: 60 })
    const stream = await fetch(`${quick.url}/api/changes/stream/`, { headers: { authorization: 'Bearer ada' } })
    setTimeout(() => void quick.stop(), 300)

    expect((await stream.text()).match(/^:.*\n\n/gm)!.length).toBeGreaterThan(1)
  })

  it.each([
    ['topics=*x', {}],
    ['since=1', {}],
    ['', { 'last-event-id': 'nonsense' }],
    ['', { 'last-event-id': 'e:-1' }],
  ])('answers 400 for %s %j', async (query, headers) => {
    const answer = await fetch(`${rig.url}/api/changes/stream/?${query}`, {
      headers: { authorization: 'Bearer ada', ...headers },
    })

    expect(answer.status).toBe(400)
  })

  it('answers HEAD without opening anything', async () => {
    const headers = { authorization: 'Bearer ada' }
    const answer = await fetch(`${rig.url}/api/changes/stream/`, { method: 'HEAD', headers })

    expect(answer.status).toBe(200)
    expect(rig.realtime.stats().streams).toBe(0)
  })
})

describe('GET /api/topics/', () => {
  it('lists every topic with its schema and who hears it, for everybody', async () => {
    const answer = await fetch(`${rig.url}/api/topics/`)
    const { topics } = (await answer.json()) as { topics: Record<string, unknown>[] }

    expect(answer.status).toBe(200)
    expect(topics).toHaveLength(5)
    expect(topics[1]).toMatchObject({
      topic: 'test.note.written',
      description: 'A note was written.',
      subject: 'note',
      heard_by: 'its reader and staff',
      schema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
    })
  })
})

async function get(query: string, token = 'ada'): Promise<Answer> {
  const answer = await fetch(`${rig.url}/api/changes/${query}`, { headers: { authorization: `Bearer ${token}` } })
  return { ...((await answer.json()) as Answer), status: answer.status }
}

function head(): Promise<Answer> {
  return get('?limit=1')
}

async function settle(position: number): Promise<void> {
  await expect.poll(() => rig.realtime.stats().position, { timeout: 10_000 }).toBeGreaterThanOrEqual(position)
}

interface StreamEvent {
  id: string
  event: string
  data: Record<string, unknown>
}

async function openStream(query: string, headers: Record<string, string> = {}) {
  const controller = new AbortController()
  const answer = await fetch(`${rig.url}/api/changes/stream/${query}`, {
    headers: { authorization: 'Bearer ada', ...headers },
    signal: controller.signal,
  })
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''

  return {
    contentType: answer.headers.get('content-type'),
    async until(part: string): Promise<void> {
      while (!text.includes(part) || !text.endsWith('\n\n')) {
        const { value, done } = await reader.read()
        if (done) throw new Error(`the stream ended before ${part}: ${text}`)
        text += value
      }
    },
    events: (): StreamEvent[] =>
      [...text.matchAll(/^id: (.*)\nevent: (.*)\ndata: (.*)\n\n/gm)].map(([, id = '', event = '', data = '']) => ({
        id,
        event,
        data: JSON.parse(data) as Record<string, unknown>,
      })),
    cancel: async (): Promise<void> => {
      controller.abort()
      await reader.cancel().catch(() => undefined)
    },
  }
}
