import { pino } from 'pino'

import { copyRow, copyRows, type CopyValue } from '../../src/platform/db/copy.ts'
import { createDb, type Tx } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { countChanges, listed } from '../../src/modules/catalog/product-counts.ts'
import { fold } from '../../src/modules/catalog/search/fold.ts'
import { newId } from '../../src/platform/ids.ts'
import { withoutIndexes } from './bulk-load.ts'
import { sampleCatalogue, SELLERS, type SampleCatalogue, type SampleProduct } from './catalogue.ts'
import { checkDocuments, documentColumns, documentRows } from './store-documents.ts'
import { insertUsers, type SampleUser } from './store-users.ts'
import { onServer } from './workbench.ts'

/** A store full of products, and those who sell and buy there. */
export interface SeededStore {
  catalogue: SampleCatalogue
  sellers: SampleUser[]
  buyers: SampleUser[]
  /** As numerous as `catalogue.tagNames`, the most frequent first. */
  tagIds: string[]
}

const BUYERS = 1_000
const TABLES = ['products', 'stock_levels', 'tags', 'product_tags', 'product_search', 'search_words', 'product_counts']

/** Fills the migrated, empty database with `size` products, as the code itself would have written them. */
export async function seedStore(databaseUrl: string, size: number): Promise<SeededStore> {
  const db = createDb({ url: databaseUrl, poolSize: 1, applicationName: 'souk bench', log: pino({ level: 'silent' }) })
  const catalogue = sampleCatalogue(size)
  const tagIds = catalogue.tagNames.map(() => newId())
  try {
    return await db.transaction(async (tx) => {
      const sellers = await insertUsers(tx, 'seller', SELLERS)
      const buyers = await insertUsers(tx, 'buyer', BUYERS)
      const store = { catalogue, sellers, buyers, tagIds }
      await withoutIndexes(tx, TABLES, () => copyStore(tx, store))
      await checkDocuments(tx)
      return store
    })
  } finally {
    await db.close()
    // Only what was filled: of a table known to be empty the server would go on reading all of it, one row at a time, once it is not.
    await onServer(
      databaseUrl,
      `VACUUM ANALYZE ${[...TABLES, 'users', 'login_names', 'sign_ins', 'credentials'].join(', ')}`,
    )
  }
}

async function copyStore(tx: Tx, store: SeededStore): Promise<void> {
  await copyRows(tx, `tags (${tagColumns.join(', ')})`, pieces(tagRows(store)))
  await copyRows(tx, `products (${productColumns.join(', ')})`, pieces(productRows(store)))
  await copyRows(tx, 'stock_levels (product_id, variant, quantity)', pieces(stockRows(store)))
  await copyRows(tx, 'product_tags (product_id, tag_id, place)', pieces(productTagRows(store)))
  const words = new Set<string>()
  await copyRows(tx, `product_search (${documentColumns})`, pieces(documentRows(store, words)))
  await copyRows(tx, 'search_words (word)', pieces([...words].map((word) => [word])))
  await tx.run(
    countChanges(sql`(SELECT brand, condition, gender, 1 AS change FROM products WHERE ${listed}) AS listed`),
  )
}

const PIECE_CHARACTERS = 65_536

function* pieces(rows: Iterable<CopyValue[]>): Generator<string> {
  let text = ''
  for (const row of rows) {
    text += copyRow(row)
    if (text.length < PIECE_CHARACTERS) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

const tagColumns = ['id', 'name', 'description', 'name_key', 'name_folded', 'created', 'updated']

function* tagRows({ catalogue, tagIds }: SeededStore): Generator<CopyValue[]> {
  const now = new Date().toISOString()
  for (const [n, name] of catalogue.tagNames.entries())
    yield [tagIds[n]!, name, `Things that are ${name}.`, name, fold(name), now, now]
}

const productColumns =
  `id owner_id title description price state created updated feed_id product_type link image_link regular_price
  availability brand gtin item_group_id condition age_group color gender adult additional_images_count`.split(/\s+/)

function* productRows({ catalogue, sellers }: SeededStore): Generator<CopyValue[]> {
  for (const product of catalogue.products()) {
    const { id, price, updated } = product
    const { title, description } = product.texts()
    const owner = sellers[product.seller]!.id
    yield [id, owner, title, description, price, 'AVAILABLE', updated, updated, ...feedFields(product)]
  }
}

/** From `feed_id` on. */
function feedFields({ feedId, brand, condition, gender, price }: SampleProduct): CopyValue[] {
  if (feedId === null) return Array.from({ length: 15 }, () => null)
  const link = `https://shop.example/p/${feedId}`
  return [
    feedId,
    'Women > Clothing',
    link,
    link,
    price,
    'in stock',
    brand,
    feedId,
    feedId,
    condition,
    'adult',
    'Black',
    gender,
    'f',
    0,
  ]
}

function* stockRows({ catalogue }: SeededStore): Generator<CopyValue[]> {
  for (const { id, variants } of catalogue.products())
    for (const { name, quantity } of variants) yield [id, name, quantity]
}

function* productTagRows({ catalogue, tagIds }: SeededStore): Generator<CopyValue[]> {
  for (const { id, tags } of catalogue.products())
    for (const [place, tag] of tags.entries()) yield [id, tagIds[tag]!, place]
}
