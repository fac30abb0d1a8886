import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { feedProduct } from './feed-product.fixture.ts'
import { writeFeed } from './feed/write-feed.ts'
import { openSpoolFile, type SpoolFile } from './spool.ts'
import { planUpload, type UploadSpool } from './upload-plan.ts'

let folder: string
let feed: SpoolFile
let spool: UploadSpool

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'souk-plan-'))
  const [first, products, problematicIds, problems] = [
    await openSpoolFile(folder),
    await openSpoolFile(folder),
    await openSpoolFile(folder),
    await openSpoolFile(folder),
  ]
  feed = first
  spool = { feed, products, problematicIds, problems }
})
afterEach(async () => {
  await Promise.all(Object.values(spool).map((file) => file.close()))
  await rm(folder, { recursive: true })
})

async function writeIds(ids: readonly string[]): Promise<void> {
  async function* all() {
    for (const id of ids) yield feedProduct(id)
  }
  for await (const text of writeFeed(all())) await feed.write(Buffer.from(text))
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('the plan of an upload', () => {
  it('gives every product once, in the order of ids, however often it is asked', async () => {
    const ids = Array.from({ length: 9_000 }, (_, n) => `id-${(n * 7_919) % 9_000}`)
    await writeIds([...ids, 'id-5'])

    const plan = await planUpload(spool)
    const first = (await collect(plan.chunks())).flat()
    const second = (await collect(plan.chunks())).flat()

    expect(plan.feedIds).toEqual([...ids, 'id-5'])
    expect(first.map((product) => product.feedId)).toEqual(ids.toSorted())
    expect(second).toEqual(first)
    expect(first[0]).toEqual(feedProduct('id-0'))
  })

  it('keeps chunks small', async () => {
    await writeIds(Array.from({ length: 1_234 }, (_, n) => `id-${n}`))

    const plan = await planUpload(spool)
    const chunks = await collect(plan.chunks())

    expect(chunks.map((chunk) => chunk.length)).toEqual([500, 500, 234])
  })

  it('keeps problems on disk, whatever their number', async () => {
    const items = 40_000
    const ids = Array.from({ length: items }, (_, n) => `p${n}`)
    const text = ids.map((id) => `<item xmlns:g="http://base.google.com/ns/1.0"><g:id>${id}</g:id></item><item/>`)
    await feed.write(Buffer.from(`<rss><channel>${text.join('')}</channel></rss>`))

    const plan = await planUpload(spool)
    const listed = JSON.parse((await collect(plan.problemLists.problems.json())).join('')) as { item: number }[]
    const named = JSON.parse((await collect(plan.problemLists.problematicIds.json())).join('')) as string[]

    expect(plan.problems).toEqual({ count: 2 * items, firstIds: ids.slice(0, 100) })
    expect(listed.map(({ item }) => item)).toEqual(Array.from({ length: 2 * items }, (_, n) => n + 1))
    expect(listed[1]).toMatchObject({ id: null, reason: expect.stringContaining('g:id: missing') as string })
    expect(named).toEqual(ids)
  })
})

describe('a spool file', () => {
  it('has no name, so that nothing is left when the process dies', async () => {
    await feed.write(Buffer.from('content'))

    expect(await readdir(join(folder, 'spool'))).toEqual([])
  })

  it('reads back what was written, as a whole and in pieces', async () => {
    const content = Buffer.from('0123456789'.repeat(20_000))
    await feed.write(content.subarray(0, 7))
    await feed.write(content.subarray(7))

    const whole = Buffer.concat(await collect(feed.read()))
    const piece = await feed.readAt(5, 10)

    expect(whole.equals(content)).toBe(true)
    expect(piece.toString()).toBe('5678901234')
  })
})
