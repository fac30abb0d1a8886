import { raw, sql, type Sql } from '../../platform/db/sql.ts'
import type { Db, Queryable, Tx } from '../../platform/db/db.ts'
import type { Sweep } from '../../platform/sweep.ts'

export interface Facets {
  /** Exact values; the empty text does not restrict. */
  condition: string
  gender: string
  brand: string
}

/** Condition of a row that the feed's list shows, as far as the row itself says; the indexes are declared with the same words. */
export const listed = raw(`feed_id IS NOT NULL AND state = 'AVAILABLE'`)

/**
 * The statement that counts rows in or out of `product_counts`, to be a part of the statement that writes them: `source` names a relation
 * with `condition`, `gender`, `brand` and `change` (1 for a row that appears, -1 for one that goes).
 */
export function countChanges(source: Sql): Sql {
  return sql`
    INSERT INTO product_counts (brand, condition, gender, change)
    SELECT coalesce(brand, ''), coalesce(condition, ''), coalesce(gender, ''), sum(change)
    FROM ${source}
    GROUP BY GROUPING SETS ((), (condition), (gender), (condition, gender), (brand, condition, gender))
    HAVING sum(change) <> 0`
}

/** An expression: how many listed feed products have these facets, exact in the snapshot of the statement. */
export function listedCount(facets: Facets): Sql {
  if (facets.brand === '') {
    return sql`(SELECT coalesce(sum(change), 0)::bigint FROM product_counts
      WHERE brand = '' AND condition = ${facets.condition} AND gender = ${facets.gender})`
  }
  return sql`(SELECT coalesce(sum(change), 0)::bigint FROM product_counts
    WHERE brand = ${facets.brand} AND ${facets.condition} IN ('', condition) AND ${facets.gender} IN ('', gender))`
}

export interface FilterOptions {
  conditions: string[]
  genders: string[]
  brands: string[]
}

/** The distinct values of the listed feed products, ascending. */
export async function listFilterOptions(db: Queryable): Promise<FilterOptions> {
  const row = await db.row<FilterOptions>(sql`
    SELECT
      ARRAY(SELECT condition FROM product_counts WHERE brand = '' AND gender = '' AND condition <> ''
            GROUP BY condition HAVING sum(change) > 0 ORDER BY condition) AS conditions,
      ARRAY(SELECT gender FROM product_counts WHERE brand = '' AND condition = '' AND gender <> ''
            GROUP BY gender HAVING sum(change) > 0 ORDER BY gender) AS genders,
      ARRAY(SELECT brand FROM product_counts WHERE brand <> ''
            GROUP BY brand HAVING sum(change) > 0 ORDER BY brand) AS brands`)
  return row ?? { conditions: [], genders: [], brands: [] }
}

/** Any fixed number: who folds holds it, another process leaves the work to it. */
const FOLD_LOCK = 7_236_514_101
/** Keys per transaction, so that one is short. */
const FOLD_KEYS = 2_000

/**
 * Replaces the rows of a key by their sum; returns the number of keys folded. Rows of transactions still open are not seen and stay;
 * a reader sees either the rows or their sum, because both change in one statement.
 */
export async function foldProductCounts(tx: Tx): Promise<number> {
  const lock = await tx.row<{ held: boolean }>(sql`SELECT pg_try_advisory_xact_lock(${FOLD_LOCK}) AS held`)
  if (lock?.held !== true) return 0
  const folded = await tx.row<{ keys: number }>(sql`
    WITH crowded AS (
      SELECT brand, condition, gender FROM product_counts GROUP BY brand, condition, gender
      HAVING count(*) > 1 OR sum(change) = 0 LIMIT ${FOLD_KEYS}
    ), removed AS (
      DELETE FROM product_counts c USING crowded k
      WHERE c.brand = k.brand AND c.condition = k.condition AND c.gender = k.gender
      RETURNING c.brand, c.condition, c.gender, c.change
    ), summed AS (
      INSERT INTO product_counts (brand, condition, gender, change)
      SELECT brand, condition, gender, sum(change) FROM removed GROUP BY brand, condition, gender HAVING sum(change) <> 0
    )
    SELECT count(*) AS keys FROM crowded`)
  return folded?.keys ?? 0
}

/** Folds whenever there is something to fold; readers stay fast as long as a key has few rows. */
export function foldProductCountsSweep({ db }: { db: Db }): Sweep {
  return {
    name: 'catalog.fold-product-counts',
    everySeconds: 5,
    run: async () => {
      let folded = FOLD_KEYS
      while (folded === FOLD_KEYS) folded = await db.transaction(foldProductCounts)
    },
  }
}
