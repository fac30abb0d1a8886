import type { Db } from '../../../platform/db/db.ts'
import { sql, type Sql } from '../../../platform/db/sql.ts'
import { usersByIds } from '../../identity/index.ts'
import { candidatesOf } from './candidate-words.ts'
import {
  candidateConditions,
  hasTests,
  sourceConditions,
  testConditions,
  type ProductFilter,
} from './product-filter.ts'

export interface ValueCount {
  value: string
  count: number
}

export interface Facets {
  /** How many matching products were counted. */
  counted: number
  /** Whether those were all. */
  isExact: boolean
  brand: ValueCount[]
  condition: ValueCount[]
  gender: ValueCount[]
  price: { min: number; max: number | null; count: number }[]
  tag: { id: string; name: string; count: number }[]
  seller: { id: string; username: string; count: number }[]
}

/** Counting so many takes about 20 ms. */
const MAX_COUNTED = 5_000
/** Documents looked at where no index knows the matches. */
const MAX_LOOKED_AT = 10_000
/** Values of one facet, the most frequent ones. */
const MAX_VALUES = 20

/** Where price ranges begin, in minor units. */
const PRICE_STEPS = [0, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000]

interface FacetRow {
  facet: 'brand' | 'condition' | 'gender' | 'price' | 'seller' | 'tag' | 'total' | 'beyond'
  value: string
  name: string | null
  count: number
}

/** How the products that pass the filter are distributed, wherever a page of them begins; of very many, only so many are counted. */
export async function countFacets(db: Db, { before: _before, ...filter }: ProductFilter): Promise<Facets> {
  const rows = await db.rows<FacetRow>(facetStatement(matchingDocuments(filter)))
  const of = (facet: FacetRow['facet']): FacetRow[] => rows.filter((row) => row.facet === facet)
  const values = (facet: FacetRow['facet']): ValueCount[] => of(facet).map(({ value, count }) => ({ value, count }))
  const total = of('total')[0]?.count ?? 0
  const sellerIds = of('seller').map((row) => row.value)
  const sellers = await usersByIds(db, sellerIds)
  return {
    counted: Math.min(total, MAX_COUNTED),
    isExact: total <= MAX_COUNTED && of('beyond')[0]?.count === 0,
    brand: values('brand'),
    condition: values('condition'),
    gender: values('gender'),
    price: of('price').map(priceRange).toSorted((a, b) => a.min - b.min), // prettier-ignore
    tag: of('tag').map(({ value, name, count }) => ({ id: value, name: name ?? '', count })),
    seller: of('seller').flatMap(({ value, count }) => {
      const seller = sellers.get(value)
      return seller === undefined ? [] : [{ id: value, username: seller.username, count }]
    }),
  }
}

function priceRange({ value, count }: FacetRow): Facets['price'][number] {
  const step = Number(value)
  const next = PRICE_STEPS[step + 1]
  return { min: PRICE_STEPS[step] ?? 0, max: next === undefined ? null : next - 1, count }
}

interface MatchingDocuments {
  /** See `Candidates`. */
  sets: Sql
  from: Sql
  /** 1 when there may be matches that nobody looked at. */
  beyond: Sql
}

function matchingDocuments(filter: ProductFilter): MatchingDocuments {
  const { sets, condition, applies } = candidatesOf(filter)
  const source = sourceConditions(filter)
  const tests = testConditions(filter)
  if (!hasTests(filter)) return { sets, from: sql`product_search WHERE ${source}`, beyond: sql`0` }
  const hasSets = sql`(SELECT count(*) FROM sets) > 0`
  const found = sql`
    SELECT * FROM product_search
    WHERE ${hasSets} AND (${condition} OR words IS NULL) AND ${candidateConditions(filter)} AND ${tests}`
  if (applies === 'always') return { sets, from: sql`(${found}) product_search`, beyond: sql`0` }
  const newest = sql`SELECT * FROM product_search WHERE NOT ${hasSets} AND ${source} ORDER BY updated DESC`
  const walked = sql`SELECT * FROM (${newest} LIMIT ${MAX_LOOKED_AT}) product_search WHERE ${tests}`
  return {
    sets,
    from: sql`(${found} UNION ALL ${walked}) product_search`,
    beyond: sql`(SELECT count(*) FROM (${newest} OFFSET ${MAX_LOOKED_AT} LIMIT 1) later)`,
  }
}

function facetStatement({ sets, from, beyond }: MatchingDocuments): Sql {
  return sql`
    WITH sets AS MATERIALIZED (${sets}), matching AS MATERIALIZED (
      SELECT product_id, owner_id, price, brand, condition, gender FROM ${from} LIMIT ${MAX_COUNTED + 1}
    ), counted AS MATERIALIZED (
      SELECT product_id, owner_id, brand, condition, gender, width_bucket(price, ${PRICE_STEPS}::bigint[]) - 1 AS price
      FROM matching LIMIT ${MAX_COUNTED}
    ), valued AS (
      SELECT CASE 0 WHEN grouping(brand) THEN 'brand' WHEN grouping(condition) THEN 'condition'
          WHEN grouping(gender) THEN 'gender' WHEN grouping(price) THEN 'price' ELSE 'seller' END AS facet,
        coalesce(brand, condition, gender, price::text, owner_id::text) AS value, NULL AS name, count(*) AS count
      FROM counted GROUP BY GROUPING SETS ((brand), (condition), (gender), (price), (owner_id))
      UNION ALL
      SELECT 'tag', tags.id::text, tags.name, borne.count
      FROM (
        SELECT tag_id, count(*) AS count FROM product_tags WHERE product_id = ANY(ARRAY(SELECT product_id FROM counted)) GROUP BY tag_id
      ) borne JOIN tags ON tags.id = borne.tag_id AND tags.deleted IS NULL
    ), placed AS (
      SELECT *, row_number() OVER (PARTITION BY facet ORDER BY count DESC, value) AS place FROM valued WHERE value <> ''
    )
    SELECT facet, value, name, count FROM placed WHERE place <= ${MAX_VALUES}
    UNION ALL SELECT 'total', '', NULL, count(*) FROM matching
    UNION ALL SELECT 'beyond', '', NULL, ${beyond}`
}
