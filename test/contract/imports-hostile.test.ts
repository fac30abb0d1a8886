import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { item, startImportBench, type ImportBench } from './imports-bench.ts'
import { feed } from './product-feed-fixtures.ts'

let bench: ImportBench
let port: number

beforeAll(async () => {
  bench = await startImportBench({ MAX_IMPORT_BYTES: '2000000' })
  port = Number(new URL(await bench.server.listen()).port)
})

afterAll(async () => {
  await bench.server.close()
})

/** Begins a request over a socket of its own, which the test may cut. */
async function begin(head: readonly string[], body: string) {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => undefined)
  const lines = [
    'POST /api/imports/ HTTP/1.1',
    'Host: x',
    `Authorization: Token ${bench.seller.token}`,
    ...head,
    '',
    body,
  ]
  socket.write(lines.join('\r\n'))
  return socket
}

async function files(): Promise<string[]> {
  return readdir(join(bench.server.dataDir, 'imports')).catch(() => [])
}

async function until(condition: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return true
    await wait(20)
  }
  return false
}

async function rows(): Promise<number> {
  return (await bench.server.db.rows(sql`SELECT 1 FROM imports`)).length
}

describe('an upload that is cut off in the middle', () => {
  it.each([
    ['of a raw body', ['Content-Type: application/xml', 'Content-Length: 100000']],
    ['of a chunked body', ['Content-Type: application/xml', 'Transfer-Encoding: chunked']],
    ['of a form', ['Content-Type: multipart/form-data; boundary=b', 'Content-Length: 100000']],
  ])('%s leaves neither a file nor a row', async (_, head) => {
    const xml = feed(item('cut')).slice(0, 500)
    const form = `--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n${xml}`
    const isForm = head[0]!.includes('multipart')
    const body = head[1]!.includes('chunked') ? `${xml.length.toString(16)}\r\n${xml}\r\n` : isForm ? form : xml
    const socket = await begin(head, body)
    const hasFile = await until(async () => (await files()).length === 1)

    socket.destroy()

    const isGone = await until(async () => (await files()).length === 0)
    expect([hasFile, isGone, await rows()]).toEqual([true, true, 0])
  })
})

describe('a body that is larger than its feed', () => {
  const filler = Buffer.alloc(64 * 1024, 'x')
  const chunk = (bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
  const part = (name: string): Buffer =>
    Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"; filename="f"\r\n\r\n`)

  it.each([
    ['a gzip header without end', 'application/gzip', Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]), filler],
    ['gzip members of nothing', 'application/gzip', Buffer.alloc(0), gzipSync('')],
    ['a preamble', 'multipart/form-data; boundary=b', Buffer.alloc(0), filler],
    ['a part that nobody wants', 'multipart/form-data; boundary=b', part('other'), filler],
    [
      'an epilogue',
      'multipart/form-data; boundary=b',
      Buffer.concat([part('file'), Buffer.from(`${feed()}\r\n--b--\r\n`)]),
      filler,
    ],
  ])('is refused at the limit: %s', async (_, type, start, again) => {
    const socket = await begin([`Content-Type: ${type}`, 'Transfer-Encoding: chunked'], '')
    const piece = chunk(Buffer.concat(Array.from({ length: Math.ceil(65_536 / again.length) }, () => again)))
    let answer = ''
    socket.on('data', (bytes: Buffer) => (answer += bytes.toString()))
    if (start.length > 0) socket.write(chunk(start))

    for (let sent = 0; sent < 20_000_000 && answer === ''; sent += piece.length) {
      if (!socket.write(piece)) await wait(1)
    }
    await until(async () => answer !== '')
    socket.destroy()

    expect(answer).toMatch(/^HTTP\/1.1 413 /)
    expect(await until(async () => (await files()).length === 0)).toBe(true)
    expect(await rows()).toBe(0)
  })
})

it('exports to a client that does not read without holding a connection of the database', async () => {
  const large = 'x'.repeat(90_000)
  for (let n = 0; n < 3; n++) {
    const items = Array.from({ length: 15 }, (_, m) => item(`large-${n}-${m}`, { description: large }))
    await bench.run(feed(...items))
  }
  await wordsMade()
  const idle = connect(port, '127.0.0.1')
  await once(idle, 'connect')
  idle.pause()
  idle.write(`GET /api/products/feed.xml HTTP/1.1\r\nHost: x\r\nAuthorization: Token ${bench.seller.token}\r\n\r\n`)
  await wait(300)

  const busy = await bench.server.db.row<{ count: number }>(sql`
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start < clock_timestamp() - interval '200 ms'`)

  expect(busy).toEqual({ count: 0 })
  expect((await bench.get('/list-products/')).statusCode).toBe(200)
  idle.destroy()
})

/** The words of large products are made in the background, which is long work of its own. */
async function wordsMade(): Promise<void> {
  await vi.waitFor(
    async () => {
      const waiting = await bench.server.db.row(sql`SELECT 1 FROM product_search WHERE words IS NULL LIMIT 1`)
      expect(waiting).toBeUndefined()
    },
    { timeout: 25_000, interval: 50 },
  )
}
