import { readdir } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { until } from '../support/until.ts'
import { BOUNDARY, feed, fieldPart, filePart, item, multipart, upload } from './product-feed-fixtures.ts'

const MAX_UPLOAD_BYTES = 200_000
let souk: TestApp
let user: TestUser
let port: number

beforeAll(async () => {
  souk = await startTestApp({ env: { MAX_UPLOAD_BYTES: String(MAX_UPLOAD_BYTES) }, poolSize: 4 })
  user = await souk.signUp()
  port = Number(new URL(await souk.listen()).port)
})
afterAll(() => souk.close())

interface RawUpload {
  socket: Socket
  send: (bytes: Buffer | string) => void
  /** The status line and headers, or the empty text when the server closes without an answer. */
  answer: Promise<string>
}

/** A connection that has sent the head of an upload. */
function open(headers: Record<string, string>, token: string | undefined = user.token): RawUpload {
  const socket = connect(port, '127.0.0.1')
  const answer = new Promise<string>((resolve) => {
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      if (text.includes('\r\n\r\n')) resolve(text)
    })
    socket.on('close', () => resolve(text))
    socket.on('error', () => resolve(text))
  })
  const lines = Object.entries({
    host: '127.0.0.1',
    ...(token === undefined || token === '' ? {} : { authorization: `Token ${token}` }),
    'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`POST /upload-products/ HTTP/1.1\r\n${lines.join('')}\r\n`)
  return { socket, send: (bytes) => socket.write(bytes), answer }
}

function chunk(bytes: Buffer | string): Buffer {
  const content = Buffer.from(bytes as string)
  return Buffer.concat([Buffer.from(`${content.length.toString(16)}\r\n`), content, Buffer.from('\r\n')])
}

const spooled = () => readdir(join(souk.dataDir, 'spool')).catch(() => [])
const isStored = async (id: string) =>
  (await souk.db.row(sql`SELECT 1 FROM products WHERE feed_id = ${id}`)) !== undefined
const uploadsRecorded = async () => (await souk.db.row<{ n: number }>(sql`SELECT count(*) AS n FROM uploads`))?.n ?? 0

describe('a body over the limit', () => {
  it('is refused by its announced length before it is sent, and the answer can be read', async () => {
    const { answer, socket } = open({ 'content-length': String(MAX_UPLOAD_BYTES + 1) })

    const head = await answer

    expect(head).toMatch(/^HTTP\/1.1 413 /)
    socket.destroy()
  })

  it('is refused while it streams, however long it would have gone on', async () => {
    const { send, answer, socket } = open({ 'transfer-encoding': 'chunked' })
    const filler = Buffer.alloc(64 * 1024, 'x')
    send(chunk(filePart('<rss>')))
    const sending = setInterval(() => send(chunk(filler)), 1)

    const head = await answer
    clearInterval(sending)

    expect(head).toMatch(/^HTTP\/1.1 413 /)
    socket.destroy()
  })

  it('is refused for text fields too, before they fill the memory', async () => {
    const { headers, payload } = multipart(fieldPart('note', 'x'.repeat(MAX_UPLOAD_BYTES)), filePart(feed()))

    const response = await souk.inject({
      method: 'POST',
      url: '/upload-products/',
      headers: { ...headers, ...user.headers },
      payload,
    })

    expect(response.statusCode).toBe(413)
  })
})

describe('a body that is not what it says', () => {
  it.each([
    ['no boundary in the content type', { 'content-type': 'multipart/form-data' }, 'x'],
    ['no boundary in the body', {}, 'x'],
    ['an empty body', {}, '\r\n'],
    ['no closing boundary', {}, filePart(feed(item('open-end')))],
    [
      'another boundary',
      {},
      filePart(feed(item('other-boundary')))
        .toString()
        .replaceAll(BOUNDARY, 'other'),
    ],
    ['text after a boundary', {}, `--${BOUNDARY}junk\r\n\r\n`],
    ['headers without end', {}, `--${BOUNDARY}\r\nA: ${'b'.repeat(100_000)}`],
    ['thousands of parts', {}, fieldPart('a', '').toString().repeat(1_500)],
  ])('answers 400: %s', async (_case, headers, body) => {
    const { send, answer, socket } = open({ ...headers, 'content-length': String(Buffer.byteLength(body)) })
    send(Buffer.from(body as string))

    const head = await answer

    expect(head).toMatch(/^HTTP\/1.1 400 /)
    expect(head).toContain('application/problem+json')
    socket.destroy()
  })

  it('answers 400 to an empty request', async () => {
    const { answer, socket } = open({ 'content-length': '0' })

    expect(await answer).toMatch(/^HTTP\/1.1 400 /)
    socket.destroy()
  })

  it('leaves nothing behind when it announces more than it sends and hangs up', async () => {
    const recorded = await uploadsRecorded()
    const { payload } = multipart(filePart(feed(item('liar'))))
    const { send, socket } = open({ 'content-length': String(payload.length + 100) })
    send(payload)
    await new Promise((resolve) => setTimeout(resolve, 100))

    socket.destroy()
    await until('the spool is empty', async () => (await spooled()).length === 0, 10_000)

    expect(await isStored('liar')).toBe(false)
    expect(await uploadsRecorded()).toBe(recorded)
    expect((await upload(souk, user, feed())).statusCode).toBe(201)
  })

  it('leaves nothing behind when it is cut off in the middle of the file', async () => {
    const recorded = await uploadsRecorded()
    const { send, socket } = open({ 'transfer-encoding': 'chunked' })
    send(chunk(filePart(feed(item('cut-a'), item('cut-b'))).subarray(0, 1_500)))
    await new Promise((resolve) => setTimeout(resolve, 100))

    socket.resetAndDestroy()
    await until('the spool is empty', async () => (await spooled()).length === 0, 10_000)

    expect(await isStored('cut-a')).toBe(false)
    expect(await uploadsRecorded()).toBe(recorded)
  })

  it('takes the announced length at its word when more is sent', async () => {
    const { payload } = multipart(filePart(feed(item('short'))))
    const { send, answer, socket } = open({ 'content-length': String(payload.length - 30) })
    send(payload)

    expect(await answer).toMatch(/^HTTP\/1.1 400 /)
    expect(await isStored('short')).toBe(false)
    socket.destroy()
  })
})

describe('a caller without a credential', () => {
  it('hears 401 before the body is sent', async () => {
    const { answer, socket } = open({ 'content-length': '1000000' }, '')

    expect(await answer).toMatch(/^HTTP\/1.1 401 /)
    socket.destroy()
  })
})

describe('slow uploads', () => {
  it('hold no database connection: others are served and the uploads end well', async () => {
    const { payload } = multipart(filePart(feed(item('slow'))))
    const slow = Array.from({ length: 8 }, () => open({ 'content-length': String(payload.length) }))
    slow.forEach(({ send }) => send(payload.subarray(0, 700)))
    await new Promise((resolve) => setTimeout(resolve, 100))

    const waiting = souk.db.stats.waiting
    const list = await souk.inject({ method: 'GET', url: '/list-products/', headers: user.headers })
    slow.forEach(({ send }) => send(payload.subarray(700)))
    const answers = await Promise.all(slow.map(({ answer }) => answer))

    expect(waiting).toBe(0)
    expect(list.statusCode).toBe(200)
    expect(answers.map((answer) => answer.slice(0, 12))).toEqual(Array.from({ length: 8 }, () => 'HTTP/1.1 201'))
    const rows = await souk.db.rows(sql`SELECT 1 FROM products WHERE feed_id = 'slow'`)
    expect(rows).toHaveLength(1)
    slow.forEach(({ socket }) => socket.destroy())
  })
})
