import type { Db, Queryable } from '../../platform/db/db.ts'
import { join, raw, sql, type Sql } from '../../platform/db/sql.ts'
import { ownerPresent } from './deleted-owners.ts'
import { feedColumns } from './feed-columns.ts'
import { listed, listedCount, type Facets } from './product-counts.ts'

/** A product under the names of its JSON; money still in minor units. */
export type ListedProductRow = Record<string, string | number | boolean | null>

export interface ListOrder {
  /** A field name of the product object. */
  field: string
  descending: boolean
}

export interface ListedPage {
  count: number
  rows: ListedProductRow[]
}

/** Free units of all variants; `table` is the name the product has in the query. */
function stockOf(table: string): Sql {
  return sql`coalesce((SELECT sum(quantity) FROM stock_levels WHERE product_id = ${raw(table)}.id), 0)::bigint`
}

const columns = raw(feedColumns.map(({ json, column }) => `p.${column} AS "${json}"`).join(', '))
const product = sql`${columns}, ${stockOf('p')} AS quantity`

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

/** The page is found in an index alone; only its own rows are fetched. An array keeps the planner from joining with the whole table. */
function pageOf(facets: Facets, order: ListOrder, { limit, offset, fromEnd = false }: Slice, extra: Sql): Sql {
  return sql`
    SELECT ${extra} ${product} FROM products p
    WHERE p.feed_id IS NOT NULL AND p.state = 'AVAILABLE' AND p.feed_id = ANY(ARRAY(
      SELECT products.feed_id FROM products WHERE ${matches(facets)}
      ORDER BY ${orderBy(order, 'products', fromEnd)} LIMIT ${limit} OFFSET ${offset}))
    ORDER BY ${orderBy(order, 'p')}`
}

/** A page near the start with the number of all matches, in one statement; no rows and a count of 0 when it begins beyond the end. */
export async function listShallowPage(
  db: Queryable,
  facets: Facets,
  order: ListOrder,
  slice: { limit: number; offset: number },
): Promise<ListedPage> {
  const rows = await db.rows<ListedProductRow & { count: number }>(
    pageOf(facets, order, slice, sql`${listedCount(facets)} AS count,`),
  )
  return { count: rows[0]?.count ?? 0, rows }
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
      if (offset >= count) return { count, rows: [] }
      const size = Math.min(limit, count - offset)
      const after = count - offset - size
      const slice = after < offset ? { limit: size, offset: after, fromEnd: true } : { limit: size, offset }
      return { count, rows: await tx.rows<ListedProductRow>(pageOf(facets, order, slice, sql``)) }
    },
    { isolation: 'repeatable read', readOnly: true },
  )
}

async function countListed(db: Queryable, facets: Facets): Promise<number> {
  const row = await db.row<{ count: number }>(sql`SELECT ${listedCount(facets)} AS count`)
  return row?.count ?? 0
}

export async function findListedProduct(db: Queryable, feedId: string): Promise<ListedProductRow | undefined> {
  return db.row<ListedProductRow>(sql`
    SELECT ${product} FROM products p WHERE p.feed_id = ${feedId} AND ${listed} AND ${ownerPresent}`)
}

/** Products by their own id, whatever their state: what is said about them was true when it was recorded. */
export async function listProductsByIds(
  db: Queryable,
  ids: readonly string[],
): Promise<(ListedProductRow & { productId: string })[]> {
  return db.rows(sql`SELECT p.id AS "productId", ${product} FROM products p WHERE p.id = ANY(${ids})`)
}
