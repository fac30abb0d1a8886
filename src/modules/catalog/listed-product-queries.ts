import type { Db, Queryable } from '../../platform/db/db.ts'
import { join, raw, sql, type Sql } from '../../platform/db/sql.ts'
import { ownerPresent } from './deleted-owners.ts'
import { feedColumns, type FeedColumn } from './feed-columns.ts'
import { listed, listedCount, type Facets } from './product-counts.ts'

/** The product object (product-feed contract, section 3.3) as JSON text. */
export type ProductText = string

export interface ListOrder {
  /** A field name of the product object. */
  field: string
  descending: boolean
}

export interface ListedPage {
  count: number
  products: ProductText[]
}

/** Free units of all variants; `table` is the name the product has in the query. */
function stockOf(table: string): Sql {
  return sql`coalesce((SELECT sum(quantity) FROM stock_levels WHERE product_id = ${raw(table)}.id), 0)::bigint`
}

/** Money and decimals are text in JSON, with two decimals. */
function jsonValue({ column, type }: FeedColumn): string {
  if (type === 'bigint') return `(p.${column} / 100)::text || '.' || lpad((p.${column} % 100)::text, 2, '0')`
  return type === 'numeric' ? `p.${column}::text` : `p.${column}`
}

const fields = raw(feedColumns.map((column) => `${jsonValue(column)} AS "${column.json}"`).join(', '))
/**
 * The members of the product object, for a relation that `productText` reads. The database writes the JSON: taking 46 columns apart and
 * writing them again costs this process four times as much as it costs the database.
 */
const product = sql`${fields}, ${stockOf('p')} AS quantity`
const productText = raw('row_to_json(shown)::text')

const columnOfField = new Map(feedColumns.map(({ json, column }) => [json, column]))

function sortKey(field: string, table: string): Sql {
  if (field === 'quantity') return stockOf(table)
  const column = columnOfField.get(field)
  if (column === undefined) throw new Error(`products cannot be sorted by ${field}`)
  return raw(`${table}.${column}`)
}

/** PostgreSQL sorts null last ascending and first descending, as the contract asks. */
function orderBy({ field, descending }: ListOrder, table: string, fromEnd = false): Sql {
  const key = raw(descending === fromEnd ? 'ASC' : 'DESC')
  const tie = raw(fromEnd ? 'DESC' : 'ASC')
  return sql`${sortKey(field, table)} ${key}, ${raw(table)}.feed_id ${tie}`
}

/**
 * Texts differ only by which facets are filtered, so that few statements are prepared. The count is a condition that is judged once: values
 * that no product has would otherwise be looked for through the whole list.
 */
function matches(facets: Facets): Sql {
  const filters: Sql[] = []
  if (facets.brand !== '') filters.push(sql`brand = ${facets.brand}`)
  if (facets.condition !== '') filters.push(sql`condition = ${facets.condition}`)
  if (facets.gender !== '') filters.push(sql`gender = ${facets.gender}`)
  if (filters.length > 0) filters.push(sql`${listedCount(facets)} > 0`)
  return join([listed, ownerPresent, ...filters], ' AND ')
}

interface Slice {
  limit: number
  offset: number
  fromEnd?: boolean
}

/** Rows that hold most pages that are asked for. */
const FIRST_ROWS = 100

/** The page is found in an index alone; only its own rows are fetched. An array keeps the planner from joining with the whole table. */
function pageOf(facets: Facets, order: ListOrder, slice: Slice, extra: Sql): Sql {
  const { limit, offset, fromEnd = false } = slice
  const found = sql`
    SELECT products.feed_id FROM products WHERE ${matches(facets)} ORDER BY ${orderBy(order, 'products', fromEnd)}`
  // A number that the planner knows lets it keep its plan; it would plan every page anew, which takes as long as running it.
  const among =
    offset + limit <= FIRST_ROWS ? sql`SELECT feed_id FROM (${found} LIMIT ${raw(`${FIRST_ROWS}`)}) f` : found
  return sql`
    SELECT ${extra} ${productText} AS product FROM (
      SELECT ${product} FROM products p
      WHERE p.feed_id IS NOT NULL AND p.state = 'AVAILABLE'
        AND p.feed_id = ANY(ARRAY(${among} LIMIT ${limit} OFFSET ${offset}))
      ORDER BY ${orderBy(order, 'p')}) shown`
}

/** A page near the start with the number of all matches, in one statement; no rows and a count of 0 when it begins beyond the end. */
export async function listShallowPage(
  db: Queryable,
  facets: Facets,
  order: ListOrder,
  slice: { limit: number; offset: number },
): Promise<ListedPage> {
  const rows = await db.rows<{ count: number; product: ProductText }>(
    pageOf(facets, order, slice, sql`${listedCount(facets)} AS count,`),
  )
  return { count: rows[0]?.count ?? 0, products: rows.map((row) => row.product) }
}

/** Any page, counted from whichever end is nearer; `offsetOf` says where it begins among so many matches. */
export async function listDeepPage(
  db: Db,
  facets: Facets,
  order: ListOrder,
  limit: number,
  offsetOf: (count: number) => number,
): Promise<ListedPage> {
  return db.transaction(
    async (tx) => {
      const count = await countListed(tx, facets)
      const offset = offsetOf(count)
      if (offset >= count) return { count, products: [] }
      const size = Math.min(limit, count - offset)
      const after = count - offset - size
      const slice = after < offset ? { limit: size, offset: after, fromEnd: true } : { limit: size, offset }
      const rows = await tx.rows<{ product: ProductText }>(pageOf(facets, order, slice, sql``))
      return { count, products: rows.map((row) => row.product) }
    },
    { isolation: 'repeatable read', readOnly: true },
  )
}

async function countListed(db: Queryable, facets: Facets): Promise<number> {
  const row = await db.row<{ count: number }>(sql`SELECT ${listedCount(facets)} AS count`)
  return row?.count ?? 0
}

export async function findListedProduct(db: Queryable, feedId: string): Promise<ProductText | undefined> {
  const row = await db.row<{ product: ProductText }>(sql`
    SELECT ${productText} AS product FROM (
      SELECT ${product} FROM products p WHERE p.feed_id = ${feedId} AND ${listed} AND ${ownerPresent}) shown`)
  return row?.product
}

/** Products by their own id, whatever their state: what is said about them was true when it was recorded. */
export async function listProductsByIds(
  db: Queryable,
  ids: readonly string[],
): Promise<{ productId: string; product: ProductText }[]> {
  return db.rows(sql`
    SELECT p.id AS "productId", (SELECT ${productText} FROM (SELECT ${product}) shown) AS product
    FROM products p WHERE p.id = ANY(${ids})`)
}
