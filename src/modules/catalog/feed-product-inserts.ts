import { microsecondsAfter } from '../../platform/clock.ts'
import { arrayLiteral } from '../../platform/db/array-literal.ts'
import { copyRow, copyRows, type CopyValue } from '../../platform/db/copy.ts'
import { violates, type Tx } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'
import { feedColumns } from './feed-columns.ts'
import { listTakenFeedIds, lowestPrice, type NewFeedProduct } from './feed-product-queries.ts'
import { countChanges } from './product-counts.ts'
import { documentText } from './search/fold.ts'

/** Characters made and sent at once: making a piece must not hold the event loop for long. */
const PIECE_CHARACTERS = 64 * 1024

const PRODUCTS = `products (id, owner_id, price, state, created, updated, ${feedColumns.map(({ column }) => column).join(', ')})`
const DOCUMENTS = 'product_search (product_id, owner_id, state, updated, price, brand, condition, gender, text)'
const STOCK_LEVELS = 'stock_levels (product_id, variant, quantity)'

/**
 * Stores those of the rows whose feed id is free, in the given order, with their stock and search documents, and counts them; returns the
 * stored ones. With COPY, which knows no ON CONFLICT: what is taken is looked up first, and where somebody else was quicker in between,
 * looked up again.
 */
export async function insertFree(
  tx: Tx,
  ownerId: string,
  rows: readonly NewFeedProduct[],
  now: Date,
): Promise<readonly NewFeedProduct[]> {
  let free = rows
  let isStored = false
  while (!isStored && free.length > 0) {
    const taken = new Set(await listTakenFeedIds(tx, free))
    free = free.filter((row) => !taken.has(row.product.feedId))
    // Each time that this fails, an id more is taken.
    isStored = free.length > 0 && (await copyProducts(tx, ownerId, free, now))
  }
  if (free.length === 0) return free
  const stock = inPieces(free, ({ id, product }) => [id, 'default', product.quantity])
  await Promise.all([tx.run(sql`RELEASE SAVEPOINT insert_products`), copyRows(tx, STOCK_LEVELS, stock)])
  await copyRows(
    tx,
    DOCUMENTS,
    inPieces(free, (row) => documentValues(ownerId, row, now)),
  )
  await countInserted(tx, free)
  return free
}

/** False, with nothing stored, when one of the feed ids has been taken since they were looked up. Leaves a savepoint open where it is true. */
async function copyProducts(tx: Tx, ownerId: string, rows: readonly NewFeedProduct[], now: Date): Promise<boolean> {
  const products = inPieces(rows, (row) => productValues(ownerId, row, now))
  try {
    await Promise.all([tx.run(sql`SAVEPOINT insert_products`), copyRows(tx, PRODUCTS, products)])
  } catch (error) {
    if (!violates(error, 'products_feed_id_key')) throw error
    await tx.run(sql`ROLLBACK TO SAVEPOINT insert_products`)
    return false
  }
  return true
}

function productValues(ownerId: string, { id, place, product }: NewFeedProduct, now: Date): CopyValue[] {
  const at = microsecondsAfter(now, place)
  const values: CopyValue[] = [id, ownerId, lowestPrice(product), 'AVAILABLE', at, at]
  for (const { key } of feedColumns) values.push(product[key])
  return values
}

/** Its words are made in the background. */
function documentValues(ownerId: string, { id, place, product }: NewFeedProduct, now: Date): CopyValue[] {
  const { brand, condition, gender } = product
  const at = microsecondsAfter(now, place)
  return [id, ownerId, 'AVAILABLE', at, lowestPrice(product), brand, condition, gender, documentText(product)]
}

function* inPieces(
  rows: readonly NewFeedProduct[],
  valuesOf: (row: NewFeedProduct) => readonly CopyValue[],
): Generator<string> {
  let piece = ''
  for (const row of rows) {
    piece += copyRow(valuesOf(row))
    if (piece.length < PIECE_CHARACTERS) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

interface Group {
  brand: string
  condition: string
  gender: string
  count: number
}

/** Few facets are shared by many products, so they are counted before they are sent. */
async function countInserted(tx: Tx, rows: readonly NewFeedProduct[]): Promise<void> {
  const groups = new Map<string, Group>()
  for (const { product } of rows) {
    const { brand, condition, gender } = product
    const key = `${brand}\n${condition}\n${gender}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { brand, condition, gender, count: 1 })
    else group.count += 1
  }
  const array = (key: keyof Group): string => arrayLiteral([...groups.values()].map((group) => group[key]))
  await tx.run(
    countChanges(sql`unnest(${array('brand')}::text[], ${array('condition')}::text[], ${array('gender')}::text[],
      ${array('count')}::bigint[]) AS inserted (brand, condition, gender, change)`),
  )
}
