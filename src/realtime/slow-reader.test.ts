import { connect, type Socket } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { openClient, recordThings, startRig, type Rig } from './test-rig.ts'

const TEXT = 'x'.repeat(8_000)

let database: TestDatabase
let rig: Rig

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 })
  rig = await startRig(database.url)
})

afterAll(async () => {
  await rig.stop()
  await database.drop()
})

describe('a reader that stops reading', () => {
  it('is closed with 4408 once its buffer is full, others go on, and it resumes without loss', async () => {
    const slow = await openClient(rig.url, 'ada')
    const quick = await openClient(rig.url, 'bob')
    const { position, epoch } = await slow.subscribe(['test.*'])
    await quick.subscribe(['test.*'])
    slow.socket.pause()

    for (let n = 1; n <= 2_000; n += 100) {
      await recordThings(rig.db, n, 100, TEXT)
      // It shares this process with the server: on a busy machine it would be slow as well.
      await quick.until(() => quick.heard.length === n + 99)
    }
    slow.socket.resume()
    const code = await slow.closed
    const last = slow.frames.findLast(({ type }) => type === 'change')
    const again = await openClient(rig.url, 'ada')
    await again.subscribe(['test.*'], { since: last?.position ?? position, epoch })
    await again.next('caught-up')

    expect(code).toBe(4408)
    expect(slow.heard).toEqual(range(1, slow.heard.length))
    expect(again.heard).toEqual(range(slow.heard.length + 1, 2_000))
    expect(quick.heard).toEqual(range(1, 2_000))
    for (const { socket } of [quick, again]) socket.terminate()
  }, 60_000)

  it('is waited for in a replay, with little in memory, and gets everything in the end', async () => {
    const start = { since: 0, epoch: await epochOf(rig) }
    const client = await openClient(rig.url, 'ada')

    client.send({ action: 'subscribe', topics: ['test.*'], ...start })
    client.socket.pause()
    const before = process.memoryUsage().arrayBuffers
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    const grown = process.memoryUsage().arrayBuffers - before
    const isOpen = client.closeCode === undefined
    client.socket.resume()
    await client.next('caught-up')

    expect(isOpen).toBe(true)
    expect(grown).toBeLessThan(40 * 1024 * 1024)
    expect(client.heard).toEqual(range(1, 2_000))
    client.socket.terminate()
  }, 60_000)

  it('may vanish in the middle of a replay without a trace', async () => {
    const start = { since: 0, epoch: await epochOf(rig) }
    const clients = await Promise.all(Array.from({ length: 20 }, () => openClient(rig.url, 'ada')))

    for (const client of clients) client.send({ action: 'subscribe', topics: ['test.*'], ...start })
    await Promise.all(clients.map((client) => client.next('change')))
    for (const client of clients) client.socket.pause()
    await new Promise((resolve) => setTimeout(resolve, 300))
    for (const client of clients) client.socket.terminate()

    await expect.poll(() => rig.realtime.stats().sockets, { timeout: 10_000 }).toBe(0)
  })

  it('has its event stream ended, and resumes it with the last id it read', async () => {
    const stream = await openStream(rig, '')
    await expect.poll(() => stream.text).toContain('event: caught-up')
    stream.socket.pause()

    for (let n = 1; n <= 2_000; n += 100) await recordThings(rig.db, n, 100, TEXT)
    await expect.poll(() => rig.realtime.stats().streams, { timeout: 20_000 }).toBe(0)
    stream.socket.resume()
    await expect.poll(() => stream.isClosed, { timeout: 20_000 }).toBe(true)
    const first = numbersIn(stream.text)
    const lastId = [...stream.text.matchAll(/^id: (\S+)\n(?=event: \S+\ndata: .*\n\n)/gm)].at(-1)![1]!
    const again = await openStream(rig, '', { 'Last-Event-ID': lastId })
    await expect.poll(() => again.text, { timeout: 20_000 }).toContain('event: caught-up')

    expect([...first, ...numbersIn(again.text)]).toEqual(range(1, 2_000))
    again.socket.destroy()
  }, 60_000)
})

async function epochOf(from: Rig): Promise<string> {
  const client = await openClient(from.url, 'bookmark')
  const { epoch } = await client.subscribe(['none'])
  client.socket.terminate()
  return epoch
}

interface RawStream {
  socket: Socket
  text: string
  isClosed: boolean
}

/** An event stream on a bare connection, which can be paused so that nothing is read on its behalf; HTTP/1.0 knows no chunks. */
async function openStream(from: Rig, query: string, headers: Record<string, string> = {}): Promise<RawStream> {
  const socket = connect(Number(new URL(from.url).port), '127.0.0.1')
  const stream: RawStream = { socket, text: '', isClosed: false }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.on('data', (data: Buffer) => {
    stream.text += data.toString()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    stream.isClosed = true
  })
  socket.write(
    `GET /api/changes/stream/?${query} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer ada\r\n${lines.join('')}\r\n`,
  )
  return stream
}

/** The numbers of the changes whose event has come whole. */
function numbersIn(text: string): number[] {
  return [...text.matchAll(/^event: test\.thing\.changed\ndata: .*"data":\{"n":(\d+).*\n\n/gm)].map(([, n]) =>
    Number(n),
  )
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
