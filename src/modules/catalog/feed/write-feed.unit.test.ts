import fc from 'fast-check'
import { expect, it } from 'vitest'

import { cleanHtml } from './clean-html.ts'
import { feedFields, type FeedField, type FeedProduct } from './feed-item.ts'
import { readFeed, type FeedEntry } from './read-feed.ts'
import { writeFeed } from './write-feed.ts'

// oxlint-disable-next-line no-control-regex
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/

/** What a feed can bring: characters that XML 1.0 has, trimmed, not blank. */
const character = fc.oneof(
  fc.constantFrom('<', '>', '&', '"', "'", '\r', '\n', '\t', ' ', ';', ']'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((one) => !UNWRITABLE.test(one)),
)

function text(limit: number) {
  return fc
    .array(character, { minLength: 1, maxLength: Math.min(limit, 30) })
    .map((characters) => characters.join('').trim())
    .filter((value) => value !== '')
}

function valueOf(field: FeedField): fc.Arbitrary<unknown> {
  const values: Record<FeedField['kind'], fc.Arbitrary<unknown>> = {
    text: text(field.limit ?? 30),
    html: text(200).map(cleanHtml),
    url: fc.webUrl(),
    appUrl: fc.webUrl().map((url) => url.replace(/^https?/, 'ounass')),
    money: fc.integer({ min: 0, max: 9_999_999_999 }),
    integer: fc.integer(),
    count: fc.nat(),
    decimal: fc.integer({ min: 0, max: 99_999 }).map((hundredths) => (hundredths / 100).toFixed(2)),
    yes: fc.boolean(),
  }
  const never = field.required || ['integer', 'count', 'yes'].includes(field.kind)
  return never ? values[field.kind] : fc.option(values[field.kind])
}

const anyProduct = fc.record(
  Object.fromEntries(feedFields.map((field) => [field.key, valueOf(field)])),
) as unknown as fc.Arbitrary<FeedProduct>

async function* each<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values
}

async function* bytes(texts: AsyncIterable<string>): AsyncGenerator<Buffer> {
  for await (const one of texts) yield Buffer.from(one)
}

async function readBack(products: readonly FeedProduct[]): Promise<FeedEntry[]> {
  const entries: FeedEntry[] = []
  for await (const batch of readFeed(bytes(writeFeed(each(products))))) entries.push(...batch)
  return entries
}

it('writes a feed that reads back as the same products', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyProduct, { maxLength: 5 }), async (products) => {
      const entries = await readBack(products)

      expect(entries.map((entry) => (entry.ok ? { ...entry.product } : entry))).toEqual(products)
    }),
    { numRuns: 300 },
  )
})

it('replaces characters that XML cannot write', async () => {
  const [product] = fc.sample(anyProduct, 1)

  const entries = await readBack([{ ...product!, title: 'a\u0001b\ud800c' }])

  expect(entries[0]).toMatchObject({ ok: true, product: { title: 'a\ufffdb\ufffdc' } })
})
