import type { Db } from '../../../platform/db/db.ts'
import { join, sql, type Sql } from '../../../platform/db/sql.ts'
import { listProductRows, type ProductRow } from '../products/product-rows.ts'
import { SEPARATOR } from './fold.ts'
import {
  candidateConditions,
  currentTagNames,
  escapeLike,
  termOf,
  testConditions,
  type ProductFilter,
} from './product-filter.ts'
import { allMatches, nearWalk, type Matches } from './product-matches.ts'
import { wordsMeant } from './similar-words.ts'
import { wordsOf } from './words.ts'

/** Matches that are ranked, the newest ones: looking at more takes longer than a person who types waits. */
const MAX_RANKED = 500

export interface RankedPage {
  products: ProductRow[]
  /** How many to skip for the next page; null at the end. */
  nextSkip: number | null
}

/**
 * The products that fit a term best: first those that contain it, in the title, in a tag, in the description, then those that contain its
 * words in any place, typing errors forgiven. Among equals the one whose title resembles the term most, then the newest.
 */
export async function listMostRelevant(
  db: Db,
  filter: ProductFilter,
  { skip, pageSize }: { skip: number; pageSize: number },
): Promise<RankedPage> {
  const end = skip + pageSize
  const ids = await rankLiteral(db, filter)
  if (ids.length <= end) {
    const known = new Set(ids)
    ids.push(...(await rankMeant(db, filter)).filter((id) => !known.has(id)))
  }
  const products = await listProductRows(db, ids.slice(skip, end))
  return { products, nextSkip: ids.length > end ? end : null }
}

async function rankLiteral(db: Db, filter: ProductFilter): Promise<string[]> {
  const near = await rank(db, filter, nearWalk(filter))
  if (near.length >= MAX_RANKED) return near
  return rank(db, filter, allMatches(filter))
}

function rank(db: Db, filter: ProductFilter, matches: Matches): Promise<string[]> {
  const term = termOf(filter)
  const pattern = `%${escapeLike(term)}%`
  return listIds(
    db,
    sql`
    WITH matches AS MATERIALIZED (${matches(MAX_RANKED)})
    SELECT product_id AS id FROM matches JOIN product_search USING (product_id), ${titleOf(sql`product_search`)}
    ORDER BY CASE WHEN title LIKE ${pattern} THEN 1 WHEN tag_names LIKE ${pattern} THEN 2 ELSE 3 END,
      similarity(title, ${term}) DESC, product_search.updated DESC, product_id DESC`,
  )
}

/** Only documents whose words are made: the known words are theirs. */
async function rankMeant(db: Db, filter: ProductFilter): Promise<string[]> {
  const meant = await wordsMeant(db, termOf(filter))
  if (meant.length === 0) return []
  const condition = join(meant.map((words) => sql`words && (SELECT ${words}::text[])`), ' AND ') // prettier-ignore
  const found = { ...filter, searchTerm: undefined }
  const inText = (text: Sql): Sql => join(meant.map((words) => hasWord(text, words)), ' AND ') // prettier-ignore
  return listIds(
    db,
    sql`
    SELECT product_id AS id FROM (
      SELECT * FROM (
        SELECT product_id, updated, text, ${currentTagNames} AS tag_names, NOT EXISTS (SELECT FROM stale_tags) AS is_current
        FROM product_search WHERE ${condition} AND ${candidateConditions(found)} AND ${testConditions(found)} OFFSET 0
      ) matches WHERE is_current OR (${inText(sql`text || ${SEPARATOR} || tag_names`)}) ORDER BY updated DESC LIMIT ${MAX_RANKED}
    ) matches, ${titleOf(sql`matches`)}
    ORDER BY CASE WHEN ${inText(sql`title`)} THEN 1 WHEN ${inText(sql`title || ${SEPARATOR} || tag_names`)} THEN 2 ELSE 3 END,
      similarity(title, ${termOf(filter)}) DESC, updated DESC, product_id DESC`,
  )
}

/** One of the words is in the text. Most texts that have none are told by their letters, for a tenth of what it takes to split one. */
function hasWord(text: Sql, words: readonly string[]): Sql {
  const shortest = words.filter((word) => !words.some((other) => other !== word && word.includes(other)))
  const patterns = shortest.map((word) => `%${escapeLike(word)}%`)
  return sql`(${text} LIKE ANY (${patterns}::text[]) AND ${wordsOf(text)} && ${words}::text[])`
}

function titleOf(documents: Sql): Sql {
  return sql`LATERAL (SELECT split_part(${documents}.text, ${SEPARATOR}, 1) AS title) titles`
}

async function listIds(db: Db, statement: Sql): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(statement)
  return rows.map((row) => row.id)
}
