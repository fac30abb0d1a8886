import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import type { Db, Queryable, Tx } from '../../../platform/db/db.ts'
import { sql, type Sql } from '../../../platform/db/sql.ts'
import { newId } from '../../../platform/ids.ts'
import { makeDocumentWords } from './document-words.ts'
import { saveSearchDocuments } from './documents.ts'
import { countFacets } from './facets.ts'
import { fold } from './fold.ts'
import type { ProductFilter } from './product-filter.ts'
import { listNewest } from './product-matches.ts'

interface Text {
  title: string
  description: string
  tag: string
}

const OWNER = newId()
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await database.db.run(sql`INSERT INTO users (id, username, password_hash) VALUES (${OWNER}, 'seller', 'none')`)
})
afterAll(() => database.drop())
beforeEach(() => empty())

async function empty(): Promise<void> {
  await database.db.run(sql`TRUNCATE products, product_search, search_words, tags CASCADE`)
}

/** A product per text, each newer than the one before, with its documents. */
async function store(texts: readonly Text[]): Promise<string[]> {
  return database.db.transaction(async (tx) => {
    const ids: string[] = []
    for (const text of texts) ids.push(await storeOne(tx, text, ids.length))
    await saveSearchDocuments(tx, ids)
    return ids
  })
}

async function storeOne(tx: Tx, { title, description, tag }: Text, place: number): Promise<string> {
  const [id, tagId] = [newId(), newId()]
  const at = sql`timestamptz '2025-01-01' + ${place} * interval '1 second'`
  await tx.run(sql`
    INSERT INTO products (id, owner_id, title, description, price, state, created, updated)
    VALUES (${id}, ${OWNER}, ${title}, ${description}, 1, 'AVAILABLE', ${at}, ${at})`)
  await tx.run(sql`
    INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
    VALUES (${tagId}, ${tag}, 'A tag', ${tagId}, ${fold(tag)}, now(), now())`)
  await tx.run(sql`INSERT INTO product_tags VALUES (${id}, ${tagId}, 0)`)
  return id
}

/** As a feed leaves them. */
async function forgetWords(db: Queryable): Promise<void> {
  await db.run(sql`UPDATE product_search SET words = NULL`)
}

/** Every page of three, one after the other. */
async function listAll(filter: ProductFilter): Promise<string[]> {
  const ids: string[] = []
  let before: string | undefined
  for (let hasNext = true; hasNext;) {
    const page = await listNewest(database.db, { ...filter, before }, 3)
    ids.push(...page.rows.map((row) => row.id))
    before = page.offsetDate ?? undefined
    hasNext = page.hasNext
  }
  return ids
}

/** The whole of the contract in one line, without an index. */
function contains({ title, description, tag }: Text, term: string): boolean {
  return [title, description, tag].some((part) => fold(part).includes(fold(term)))
}

const letters = ['a', 'B', 'é', 'ß', 'S', 'Σ', 'ς', 'İ', 'ı', 'ﬁ', 'か', 'が', '手', '한', '🧵', 'Ł', '1', '\u0301']
const others = ['%', '_', '\\', ' ', ' ', '-', '.', '\n', "'", '"', '{', ',', '\u00a0', '\u{10ffff}', '\uffff']
const someText = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: fc.constantFrom(...letters, ...others), minLength: 1, maxLength: 40 }) },
  { weight: 2, arbitrary: fc.string({ unit: fc.constantFrom('a', 'b', ' '), minLength: 1, maxLength: 30 }) },
  { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom('a', 'b', 'か'), minLength: 60, maxLength: 200 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }).map(storable) },
)

function storable(text: string): string {
  return `${text.replaceAll('\0', '').toWellFormed()}.`
}

const someTexts = fc.array(fc.record({ title: someText, description: someText, tag: someText }), {
  minLength: 1,
  maxLength: 8,
})
/** A part of one of the texts, or any text. */
const someTerm = fc.oneof(
  fc.record({
    of: fc.nat(),
    part: fc.constantFrom('title', 'description', 'tag'),
    from: fc.nat(),
    length: fc.integer({ min: 1, max: 90 }),
  }),
  someText,
)

function termOf(term: typeof someTerm extends fc.Arbitrary<infer T> ? T : never, texts: readonly Text[]): string {
  if (typeof term === 'string') return term
  const text = Array.from(texts[term.of % texts.length]![term.part as keyof Text])
  const from = term.from % text.length
  return text
    .slice(from, from + term.length)
    .join('')
    .toWellFormed()
}

describe('a term', () => {
  it.each([
    ['with words made', 40],
    ['with words not made', 40],
    ['with words made later', 40],
  ])(
    'finds what contains it and nothing else, %s',
    async (how, numRuns) => {
      await fc.assert(
        fc.asyncProperty(someTexts, fc.array(someTerm, { minLength: 4, maxLength: 8 }), async (texts, terms) => {
          await empty()
          const ids = await store(texts)
          if (how !== 'with words made') await forgetWords(database.db)
          if (how === 'with words made later') await database.db.transaction((tx) => makeDocumentWords(tx, 100))

          for (const given of terms) {
            const term = termOf(given, texts)
            const expected = ids.filter((_id, index) => contains(texts[index]!, term)).toReversed()
            expect({ term, found: await listAll({ searchTerm: term }) }).toEqual({ term, found: expected })
          }
        }),
        { numRuns },
      )
    },
    120_000,
  )

  it('finds old products behind many new ones', async () => {
    const [rare] = await store([{ title: 'A rare sextant', description: 'Of brass.', tag: 'old' }])
    await database.db.run(sql`
      INSERT INTO products (id, owner_id, title, description, price, state, created, updated)
      SELECT gen_random_uuid(), ${OWNER}, 'Thing ' || n, 'Common.', 1, 'AVAILABLE', at, at
      FROM generate_series(1, 5000) n, LATERAL (SELECT timestamptz '2025-02-01' + n * interval '1 second' AS at) t`)
    await database.db.run(sql`
      INSERT INTO product_search (product_id, owner_id, state, updated, price, text)
      SELECT id, owner_id, state, updated, price, lower(title || U&'\\FFFF' || description) FROM products WHERE id <> ${rare}`)

    for (const makesWords of [false, true]) {
      if (makesWords) while ((await database.db.transaction((tx) => makeDocumentWords(tx, 1000))) > 0);
      for (const term of ['sextant', 'exta', 'are sex', 'of', 'a rare sextant', 'xt', 'old'])
        expect({ term, found: await listAll({ searchTerm: term }) }).toEqual({ term, found: [rare] })
      expect(await listAll({ searchTerm: 'sextants' })).toEqual([])
      const early = { searchTerm: 'ommon', before: '2025-02-01T00:00:02Z' }
      expect((await listNewest(database.db, early, 100)).rows).toHaveLength(1)
      expect((await listNewest(database.db, { searchTerm: 'thing' }, 20)).hasNext).toBe(true)
      expect((await listNewest(database.db, { searchTerm: 'hing 123' }, 100)).rows).toHaveLength(11)
      expect(await listAll({ searchTerm: 'sextant', ownerIds: [OWNER] })).toEqual([rare])
      expect(await listAll({ searchTerm: 'sextant', ownerIds: [OWNER, newId()] })).toEqual([rare])
      expect(await listAll({ searchTerm: 'sextant', ownerIds: [newId()] })).toEqual([])
    }
  }, 60_000)

  it('is found where more words fit a part of it than are looked up', async () => {
    const ids = await store([
      { title: 'Scarred shoes', description: 'Of leather.', tag: 'old' },
      { title: 'Shoes', description: 'Scarred.', tag: 'new' },
      { title: 'Red shorts', description: 'Tarred shoes.', tag: 'new' },
    ])
    await database.db.run(sql`INSERT INTO search_words (word) SELECT n || 'red' FROM generate_series(1, 2001) n`)
    const placesOf = async (filter: ProductFilter) => (await listAll(filter)).map((id) => ids.indexOf(id))

    expect(await placesOf({ searchTerm: 'red' })).toEqual([2, 1, 0])
    expect(await placesOf({ searchTerm: 'red sho' })).toEqual([2, 0])
    expect(await placesOf({ searchTerm: 'red shoes' })).toEqual([2, 0])
    expect(await placesOf({ searchTerm: 'red xylo' })).toEqual([])
    expect(await placesOf({ searchTerm: 'arred shoes o', brand: 'Acme' })).toEqual([])
    expect(await countFacets(database.db, { searchTerm: 'red' })).toMatchObject({ counted: 3, isExact: true })
    expect(await countFacets(database.db, { searchTerm: 'red sho' })).toMatchObject({ counted: 2, isExact: true })
  })
})

describe('a document', () => {
  it('is found while its words are being made', async () => {
    const [id] = await store([{ title: 'Sextant', description: 'Of brass.', tag: 'old' }])
    await forgetWords(database.db)
    await database.db.run(sql`TRUNCATE search_words`)

    const { db } = database
    const makeWords = () => db.transaction((tx) => makeDocumentWords(tx, 10))
    const page = await listNewest(withBetween(db, makeWords), { searchTerm: 'sextan' }, 3)

    expect(page.rows.map((row) => row.id)).toEqual([id])
    expect(await makeWords()).toBe(0)
  })
})

/** Does something else after each statement. */
function withBetween(db: Db, work: () => Promise<unknown>): Db {
  const between = <Q extends Queryable>(queryable: Q): Q => ({
    ...queryable,
    rows: async <T>(statement: Sql) => {
      const rows = await queryable.rows<T>(statement)
      await work()
      return rows
    },
  })
  return { ...between(db), transaction: (run, options) => db.transaction((tx) => run(between(tx)), options) }
}

describe('the words of documents', () => {
  const texts = Array.from({ length: 30 }, (_, n) => ({
    title: `Word${n} shared`,
    description: 'More',
    tag: `tag${n}`,
  }))
  const wordsNow = () =>
    database.db.rows(
      sql`SELECT product_id, (SELECT array_agg(w ORDER BY w) FROM unnest(words) w) AS words FROM product_search ORDER BY 1`,
    )
  const countWordless = async () =>
    (await database.db.row<{ count: number }>(sql`SELECT count(*) AS count FROM product_search WHERE words IS NULL`))
      ?.count

  it('are the same whether made with the product or afterwards', async () => {
    await store(texts)
    const atOnce = await wordsNow()
    await forgetWords(database.db)

    const made = await database.db.transaction((tx) => makeDocumentWords(tx, 100))

    expect(made).toBe(30)
    expect(await wordsNow()).toEqual(atOnce)
  })

  it('are made once by two processes, and making them again changes nothing', async () => {
    await store(texts)
    await forgetWords(database.db)
    const make = () => database.db.transaction((tx) => makeDocumentWords(tx, 10))

    const made = await Promise.all([make(), make(), make()])

    expect(made.reduce((sum, count) => sum + count, 0)).toBe(30)
    expect(await make()).toBe(0)
    expect(await countWordless()).toBe(0)
  })

  it('are not lost when the process dies in between', async () => {
    await store(texts)
    await forgetWords(database.db)
    await database.db.run(sql`TRUNCATE search_words`)
    const died = database.db.transaction(async (tx) => {
      await makeDocumentWords(tx, 100)
      throw new Error('killed')
    })

    await expect(died).rejects.toThrow('killed')
    expect(await listAll({ searchTerm: 'word17 sh' })).toHaveLength(1)
    expect(await database.db.transaction((tx) => makeDocumentWords(tx, 100))).toBe(30)
    expect(await listAll({ searchTerm: 'word17 sh' })).toHaveLength(1)
  })

  it('wait for a writer of the product, and do not overwrite what it wrote', async () => {
    const [id] = await store(texts.slice(0, 1))
    await forgetWords(database.db)

    await database.db.transaction(async (tx) => {
      await tx.run(sql`UPDATE products SET title = 'Another' WHERE id = ${id}`)
      await saveSearchDocuments(tx, [id!])
      expect(await database.db.transaction((other) => makeDocumentWords(other, 10))).toBe(0)
    })

    expect(await listAll({ searchTerm: 'another' })).toEqual([id])
    expect(await listAll({ searchTerm: 'word0' })).toEqual([])
  })
})
