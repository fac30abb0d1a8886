import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'

import type { LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { Type } from 'typebox'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { alice, createToyServer, listen } from '../../../test/support/toy-server.ts'
import { sql } from '../db/sql.ts'
import { ConflictError, InvalidError, TooManyRequestsError } from '../errors.ts'
import type { App } from './app.ts'
import { claimKey, releaseKey, storeAnswer } from './idempotency-queries.ts'
import { idempotencySweep } from './idempotency.ts'

let database: TestDatabase
let app: App
let runs = 0
let failure: Error | undefined

beforeAll(async () => {
  database = await createTestDatabase()
  app = await createToyServer({ db: database.db, routes: registerRoutes })
})
afterAll(async () => {
  await app.close()
  await database.drop()
})
beforeEach(async () => {
  runs = 0
  failure = undefined
  await database.db.run(sql`DELETE FROM idempotency_keys`)
})

async function run(ms: number): Promise<number> {
  runs += 1
  const mine = runs
  await wait(ms)
  if (failure !== undefined) throw failure
  return mine
}

function registerRoutes(toy: App): void {
  const body = Type.Object({ name: Type.String(), ms: Type.Integer({ default: 0 }) })
  toy.post(
    '/things/',
    { schema: { body, response: { 201: Type.Object({ run: Type.Integer() }) } } },
    async (request, reply) => {
      const mine = await run(request.body.ms)
      return reply.code(201).header('location', `/things/${mine}/`).header('set-cookie', 'a=b').send({ run: mine })
    },
  )
  toy.get('/things/', async () => ({ run: await run(0) }))
  toy.delete('/things/:name/', { schema: { response: { 204: Type.Null() } } }, async (_request, reply) => {
    await run(0)
    return reply.code(204).send(null)
  })
  toy.post('/files/', { config: { bodyTypes: ['multipart/form-data'] } }, async (request, reply) => {
    const size = (await buffer(request.body as Readable)).length
    const mine = await run(0)
    const answer = `run ${mine}, ${size > 0 ? 'with' : 'without'} a file\n`
    const lines = Number(request.headers['x-lines'] ?? 1)
    return reply
      .code(201)
      .type('text/plain')
      .send(Readable.from(Array.from({ length: lines }, () => answer)))
  })
  toy.post('/secrets/', { config: { answersSecret: true } }, async () => ({ run: await run(0) }))
  toy.post('/open/', { config: { access: 'open' } }, async () => ({ run: await run(0) }))
}

function post(
  key: string | undefined,
  options: { name?: string; ms?: number; user?: string; url?: string } = {},
): Promise<LightMyRequestResponse> {
  const { name = 'a', ms = 0, user = 'alice', url = '/things/' } = options
  return app.inject({
    method: 'POST',
    url,
    headers: { authorization: `Token ${user}`, ...(key === undefined ? {} : { 'idempotency-key': key }) },
    payload: { name, ms },
  })
}

function postFile(
  key: string,
  options: { boundary?: string; content?: string; lines?: number } = {},
): Promise<LightMyRequestResponse> {
  const { boundary = 'b1', content = '<feed/>', lines = 1 } = options
  const part = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n${content}\r\n--${boundary}--\r\n`
  return app.inject({
    method: 'POST',
    url: '/files/',
    headers: {
      authorization: 'Token alice',
      'idempotency-key': key,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'x-lines': String(lines),
    },
    payload: part,
  })
}

describe('the same request under the same key', () => {
  it('runs once and is answered the same again', async () => {
    const first = await post('k1')
    const second = await post('k1')

    expect(runs).toBe(1)
    expect(first.headers['idempotency-replayed']).toBeUndefined()
    expect(second.statusCode).toBe(201)
    expect(second.json()).toEqual({ run: 1 })
    expect(second.headers).toMatchObject({
      location: '/things/1/',
      'content-type': first.headers['content-type'],
      'idempotency-replayed': 'true',
    })
    expect(second.headers['set-cookie']).toBeUndefined()
  })

  it('is the same with and without the final slash', async () => {
    await post('k1', { url: '/things/' })
    const second = await post('k1', { url: '/things' })

    expect(second.headers['idempotency-replayed']).toBe('true')
  })

  it('repeats an answer without a body', async () => {
    const request = {
      method: 'DELETE',
      url: '/things/a/',
      headers: { authorization: 'Token alice', 'idempotency-key': 'k1' },
    } as const
    await app.inject(request)

    const second = await app.inject(request)

    expect(second.statusCode).toBe(204)
    expect(second.body).toBe('')
    expect(runs).toBe(1)
  })

  it('runs once when it comes 20 times at once; the others get 409 or the answer', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => post('k1', { ms: 150 })))

    expect(runs).toBe(1)
    expect(
      answers.filter((answer) => answer.statusCode === 201 && answer.headers['idempotency-replayed'] === undefined),
    ).toHaveLength(1)
    expect(answers.filter((answer) => ![201, 409].includes(answer.statusCode))).toEqual([])
  })

  it('gets 409 while the first one runs, and its answer after', async () => {
    const first = post('k1', { ms: 200 })
    await wait(80)

    const meanwhile = await post('k1', { ms: 200 })
    await first
    const after = await post('k1', { ms: 200 })

    expect(meanwhile.statusCode).toBe(409)
    expect(after.statusCode).toBe(201)
    expect(runs).toBe(1)
  })

  it('gets the answer that a client which hung up never saw', async () => {
    const { url } = await listen(app)
    const headers = { authorization: 'Token alice', 'idempotency-key': 'k1', 'content-type': 'application/json' }
    const body = JSON.stringify({ name: 'a', ms: 200 })
    const client = new AbortController()
    const first = fetch(`${url}/things/`, { method: 'POST', headers, body, signal: client.signal })
    await expect.poll(() => runs).toBe(1)
    client.abort()
    await expect(first).rejects.toThrow('aborted')
    await wait(300)

    const second = await fetch(`${url}/things/`, { method: 'POST', headers, body })

    expect(second.headers.get('idempotency-replayed')).toBe('true')
    expect(await second.json()).toEqual({ run: 1 })
    expect(runs).toBe(1)
  })

  it.each([
    ['400', new InvalidError('No.'), 1],
    ['409', new ConflictError('Taken.'), 1],
    ['429', new TooManyRequestsError('Slowly.', 1), 2],
    ['500', new Error('boom'), 2],
  ])('after %s runs %s time(s) in all', async (status, error, times) => {
    failure = error
    await post('k1')

    const second = await post('k1')

    expect(second.statusCode).toBe(Number(status))
    expect(runs).toBe(times)
  })

  it('runs once when it streams a short body and its answer, whatever boundary the form has', async () => {
    const first = await postFile('f1')
    const second = await postFile('f1', { boundary: 'another' })
    const other = await postFile('f1', { content: '<other/>' })

    expect(first.statusCode).toBe(201)
    expect(first.body).toBe('run 1, with a file\n')
    expect(second.body).toBe(first.body)
    expect(second.statusCode).toBe(201)
    expect(second.headers).toMatchObject({ 'idempotency-replayed': 'true', 'content-type': 'text/plain' })
    expect(other.statusCode).toBe(422)
    expect(runs).toBe(1)
  })

  it('runs again when the body or the answer is past the limit, and loses nothing of either', async () => {
    const long = 'x'.repeat(1_100_000)
    const sent = await postFile('f2', { content: long })
    const sentAgain = await postFile('f2', { content: long })
    const answered = await postFile('f3', { lines: 100_000 })
    const answeredAgain = await postFile('f3', { lines: 100_000 })

    expect([sent.body, sentAgain.body]).toEqual(['run 1, with a file\n', 'run 2, with a file\n'])
    expect(answered.body).toBe('run 3, with a file\n'.repeat(100_000))
    expect(answeredAgain.body).toBe('run 4, with a file\n'.repeat(100_000))
  })

  it('stores the refusal of an invalid body too', async () => {
    const request = {
      method: 'POST',
      url: '/things/',
      headers: { authorization: 'Token alice', 'idempotency-key': 'k1' },
      payload: { name: 1 },
    } as const
    await app.inject(request)

    const second = await app.inject(request)

    expect(second.statusCode).toBe(400)
    expect(second.headers['idempotency-replayed']).toBe('true')
  })
})

describe('another request under the same key', () => {
  it.each([
    ['another body', { name: 'b' }],
    ['another query', { url: '/things/?x=1' }],
  ])('is refused with 422 (%s)', async (_name, other) => {
    await post('k1')

    const second = await post('k1', other)

    expect(second.statusCode).toBe(422)
    expect(runs).toBe(1)
  })

  it('of another user has nothing to do with it', async () => {
    await post('k1')

    const second = await post('k1', { user: 'bob' })

    expect(second.json()).toEqual({ run: 2 })
  })
})

describe('a key', () => {
  it.each([[''], ['two words'], ['ü'], ['x'.repeat(256)]])('is refused when it is %j', async (key) => {
    const response = await post(key)

    expect(response.statusCode).toBe(400)
    expect(Object.keys(response.json<{ errors: object }>().errors)).toEqual(['Idempotency-Key'])
  })

  it.each([['x'.repeat(255)], ['!~']])('of visible characters is taken', async (key) => {
    expect((await post(key)).statusCode).toBe(201)
  })

  it('is ignored where the answer carries a secret, where nobody signs in, and by reading', async () => {
    const headers = { authorization: 'Token alice', 'idempotency-key': 'k1' }
    for (const url of ['/secrets/', '/open/']) {
      await app.inject({ method: 'POST', url, headers })
      await app.inject({ method: 'POST', url, headers })
    }
    await app.inject({ url: '/things/', headers })
    await app.inject({ url: '/things/', headers })

    expect(runs).toBe(6)
    expect(await count()).toBe(0)
  })
})

describe('the lease', () => {
  const claim = {
    userId: alice.userId,
    key: 'k1',
    fingerprint: Buffer.from('f'),
    claim: '0193e3a0-0000-7000-8000-000000000001',
  }
  const other = { ...claim, claim: '0193e3a0-0000-7000-8000-000000000002' }

  it('of a dead process is taken over once it is past, by exactly one of many', async () => {
    await claimKey(database.db, claim)
    await database.db.run(sql`UPDATE idempotency_keys SET lease_until = now() - interval '1 second'`)

    const rows = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        claimKey(database.db, {
          ...claim,
          claim: `0193e3a0-0000-7000-8000-0000000001${String(index).padStart(2, '0')}`,
        }),
      ),
    )

    expect(rows.filter((row) => row?.claimed)).toHaveLength(1)
  })

  it('keeps others out until then', async () => {
    await claimKey(database.db, claim)

    const row = await claimKey(database.db, other)

    expect(row).toMatchObject({ claimed: false, status: null })
  })

  it('fences: who lost the key neither stores nor releases', async () => {
    await claimKey(database.db, claim)
    await database.db.run(sql`UPDATE idempotency_keys SET lease_until = now() - interval '1 second'`)
    await claimKey(database.db, other)

    await storeAnswer(database.db, claim, { status: 201, headers: {}, body: Buffer.from('late') })
    await releaseKey(database.db, claim)

    expect(await database.db.row(sql`SELECT status, claim FROM idempotency_keys`)).toEqual({
      status: null,
      claim: other.claim,
    })
  })

  it('does not free a key for another request', async () => {
    await claimKey(database.db, claim)
    await database.db.run(sql`UPDATE idempotency_keys SET lease_until = now() - interval '1 second'`)

    const row = await claimKey(database.db, { ...other, fingerprint: Buffer.from('g') })

    expect(row).toMatchObject({ claimed: false })
  })
})

describe('the sweep', () => {
  it('deletes keys past their day and nothing else, and may run twice at once', async () => {
    await post('old')
    await post('new')
    await database.db.run(sql`UPDATE idempotency_keys SET expires_at = now() - interval '1 second' WHERE key = 'old'`)
    const sweep = idempotencySweep({ db: database.db, log: pino({ level: 'silent' }) })

    await Promise.all([sweep.run(), sweep.run()])

    expect(await database.db.rows(sql`SELECT key FROM idempotency_keys`)).toEqual([{ key: 'new' }])
  })

  it('is not needed for a key past its day to be used again', async () => {
    await post('k1')
    await database.db.run(sql`UPDATE idempotency_keys SET expires_at = now() - interval '1 second'`)

    const again = await post('k1', { name: 'b' })

    expect(again.json()).toEqual({ run: 2 })
  })
})

async function count(): Promise<number> {
  return (await database.db.row<{ count: number }>(sql`SELECT count(*) AS count FROM idempotency_keys`))?.count ?? -1
}
