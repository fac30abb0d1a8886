import type { Timestamp } from '../../../platform/clock.ts'
import type { Db } from '../../../platform/db/db.ts'
import { empty, raw, sql, type Sql } from '../../../platform/db/sql.ts'
import { cutPage, fetchPage, type Page } from '../../../platform/http/paging.ts'
import { selectProducts, type ProductRow } from '../products/product-rows.ts'
import { candidatesOf } from './candidate-words.ts'
import {
  candidateConditions,
  hasTests,
  sourceConditions,
  testConditions,
  wordsApart,
  type ProductFilter,
} from './product-filter.ts'

/** Documents looked at from the newest before anything else is. They tell whether it is worth while to go on from them. */
const NEAREST = 250
/** Documents looked at where those promise that they hold a page. */
const NEAR = 2_000
/** Documents looked at before more than a tenth of all, which is what the index knows no better of. */
const FAR = 10_000

/** A statement of the newest matches, so many of them and those as old as the last; columns `product_id` and `updated`. */
export type Matches = (size: number) => Sql

/** The newest products that pass the filter. */
export async function listNewest(db: Db, filter: ProductFilter, pageSize: number): Promise<Page<ProductRow>> {
  if (filter.ownerIds?.length === 0) return { rows: [], offsetDate: null, hasNext: false }
  if (!hasTests(filter)) {
    const isOfMany = (filter.ownerIds?.length ?? 0) > 1
    return listPage(db, isOfMany ? newestOfOwners(filter) : walk(filter), pageSize)
  }
  const near = cutPage(await listRows(db, nearWalk(filter)(pageSize + 1)), pageSize, updatedOf)
  // A page that older matches follow is complete; of any other, more may lie beyond where the walk ended.
  if (near.hasNext) return near
  return listPage(db, allMatches(filter), pageSize)
}

function listPage(db: Db, matches: Matches, pageSize: number): Promise<Page<ProductRow>> {
  return fetchPage((size) => listRows(db, matches(size)), pageSize, updatedOf)
}

async function listRows(db: Db, matches: Sql): Promise<ProductRow[]> {
  return db.rows<ProductRow>(sql`
    WITH page AS MATERIALIZED (${matches})
    ${selectProducts} AND p.id = ANY(ARRAY(SELECT product_id FROM page)) ORDER BY p.updated DESC, p.id DESC`)
}

function updatedOf(row: ProductRow): Timestamp {
  return row.updated
}

/**
 * The size behind a sub-select: where the planner sees it, a plan for this page alone looks cheaper than one for all, and every statement is
 * planned anew, which takes longer than to look at the nearest.
 */
const newestFirst = (size: number): Sql =>
  sql`ORDER BY updated DESC FETCH FIRST (SELECT ${size}::bigint) ROWS WITH TIES`

function walk(filter: ProductFilter, isWanted = sql`true`): Matches {
  return (size) => sql`
    SELECT product_id, updated FROM (
      SELECT product_id, updated FROM product_search
      WHERE ${isWanted} AND ${sourceConditions(filter)} AND ${testConditions(filter)}
      ORDER BY updated DESC LIMIT ${enough(size)}
    ) newest ${newestFirst(size)}`
}

/** More rows than a page and the one after it. */
const PAGE_AND_MORE = 102

/**
 * A number in the text, which the planner sees also where it plans for every page: for an unknown one it expects to walk through a tenth of all.
 * Doubled where more are asked for, so that there are few different statements; ties beyond are asked for again (`fetchPage`).
 */
function enough(size: number): Sql {
  let rows = PAGE_AND_MORE
  while (rows <= size) rows *= 2
  return raw(String(rows))
}

/**
 * Those among the newest documents, if they are as many as asked for, else none. What the nearest have at too low a rate to fill a page is not
 * looked for among more where an index finds it sooner: unless so many of them have all words of a term, but not together, that the index
 * would lead to them everywhere.
 */
export function nearWalk(filter: ProductFilter): Matches {
  const tests = testConditions(filter)
  const newest = (documents: number): Sql => sql`
    SELECT * FROM product_search WHERE ${sourceConditions(filter)} ORDER BY updated DESC LIMIT ${raw(String(documents))}`
  const nearest = sql`(${newest(NEAREST)}) product_search`
  const apart = wordsApart(filter)
  const orFar =
    apart && sql`WHEN (SELECT count(*) FROM ${nearest} WHERE ${apart}) >= ${NEAREST / 10}::integer THEN ${FAR}::integer`
  return (size) => sql`
    SELECT product_id, updated FROM (
      WITH nearest AS MATERIALIZED (SELECT product_id, updated FROM ${nearest} WHERE ${tests} ${newestFirst(size)}),
        further AS MATERIALIZED (
          SELECT CASE WHEN count(*) >= ${size} THEN 0
            WHEN count(*) >= ${Math.ceil((size * NEAREST) / NEAR)} THEN ${NEAR}::integer ${orFar ?? empty} ELSE 0 END AS documents
          FROM nearest
        ), near AS MATERIALIZED (
          SELECT product_id, updated FROM (
            SELECT * FROM (${newest(FAR)}) newest ORDER BY updated DESC LIMIT (SELECT documents FROM further)
          ) product_search WHERE ${tests} ${newestFirst(size)}
        )
      SELECT * FROM nearest WHERE (SELECT count(*) FROM nearest) >= ${size}
      UNION ALL
      SELECT * FROM near WHERE (SELECT count(*) FROM near) >= ${size}
    ) matches`
}

/** All matches, found in the way that suits what is looked for. */
export function allMatches(filter: ProductFilter): Matches {
  const { sets, condition, applies } = candidatesOf(filter)
  if (applies === 'never') return walk(filter)
  const found = indexed(filter, condition)
  const walked = walk(filter, sql`(SELECT count(*) FROM sets) = 0`)
  return (size) => sql`
    SELECT product_id, updated FROM (
      WITH sets AS MATERIALIZED (${sets})
      (${found(size)}) ${applies === 'always' ? empty : sql`UNION ALL (${walked(size)})`}
    ) matches`
}

/**
 * Candidates are sorted first and looked into from the newest until the page is full. Documents whose words are not made yet are all looked
 * into at once.
 */
function indexed(filter: ProductFilter, condition: Sql): Matches {
  const source = candidateConditions(filter)
  const tests = testConditions(filter)
  return (size) => sql`
    SELECT product_id, updated FROM (
      SELECT product_id, updated, false AS is_match FROM product_search WHERE ${condition} AND ${source}
      UNION ALL
      SELECT product_id, updated, true FROM product_search
      WHERE (SELECT count(*) FROM sets) > 0 AND words IS NULL AND ${source} AND ${tests}
      ORDER BY updated DESC
    ) candidate
    WHERE is_match OR (SELECT true FROM product_search WHERE product_search.product_id = candidate.product_id AND ${tests})
    ${newestFirst(size)}`
}

/**
 * For the feed of somebody who follows many. Who follows those that sell most finds a page among the nearest. Else the newest products of all
 * of them belong to those owners whose own newest are the newest, and of no more owners than products are wanted.
 */
function newestOfOwners(filter: ProductFilter): Matches {
  const { ownerIds = [], before = 'infinity' } = filter
  const owners = sql`unnest((SELECT ${ownerIds}::uuid[]))`
  const own = sql`owner_id = owner.id AND state = 'AVAILABLE' AND updated < ${before}::timestamptz`
  return (size) => sql`
    SELECT product_id, updated FROM (
      WITH nearest AS MATERIALIZED (
        SELECT product_id, updated FROM (
          SELECT * FROM product_search WHERE ${sourceConditions({ before })} ORDER BY updated DESC LIMIT ${raw(String(NEAREST))}
        ) product_search WHERE CASE WHEN owner_id IN (SELECT ${owners}) THEN true ELSE false END ${newestFirst(size)}
      )
      SELECT * FROM nearest WHERE (SELECT count(*) FROM nearest) >= ${size}
      UNION ALL (
        SELECT product.product_id, product.updated FROM (
          SELECT owner.id FROM ${owners} AS owner (id), LATERAL (
            SELECT updated FROM product_search WHERE ${own} ORDER BY updated DESC LIMIT 1) newest
          WHERE (SELECT count(*) FROM nearest) < ${size}
            AND owner.id NOT IN (SELECT owner_id FROM deleted_owners WHERE finished IS NULL)
          ORDER BY newest.updated DESC FETCH FIRST (SELECT ${size}::bigint) ROWS WITH TIES
        ) owner, LATERAL (
          SELECT product_id, updated FROM product_search WHERE ${own} ${newestFirst(size)}) product
        ORDER BY product.updated DESC FETCH FIRST (SELECT ${size}::bigint) ROWS WITH TIES)
    ) matches`
}
