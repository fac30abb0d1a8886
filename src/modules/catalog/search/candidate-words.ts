import type { Queryable } from '../../../platform/db/db.ts'
import { join, sql, type Sql } from '../../../platform/db/sql.ts'
import { escapeLike, marksOf, termOf, type ProductFilter } from './product-filter.ts'
import { PIECE, splitWords, STEP } from './words.ts'

/** What must be true of the words of a document whose text contains a term. */
export interface TermWords {
  /** All of these are among them. */
  exact: string[]
  /** For each of these LIKE patterns, at least one fits. */
  patterns: string[]
}

/** Less than three letters or digits in a row have no trigram, by which words are looked up. */
export const HAS_TRIGRAM = /[\p{L}\p{N}]{3}/u

/**
 * A term runs over words: what stands before its first break is the end of one, what stands after the last the beginning of one, what stands
 * between is a word itself, and without a break it is a part of one. Of parts too long to lie in one piece of a word, as much as does.
 */
export function wordsOfTerm(term: string): TermWords {
  const parts = splitWords(term).map((part) => Array.from(part))
  const first = parts.shift() ?? []
  const last = parts.pop()
  const patterns: string[] = []
  if (last === undefined) patterns.push(`%${likeText(first.slice(0, STEP))}%`)
  else patterns.push(`%${likeText(first.slice(-STEP))}`, `${likeText(last.slice(0, STEP))}%`)
  for (const part of parts) if (part.length > PIECE) patterns.push(`${likeText(part.slice(0, STEP))}%`)
  const exact = parts.filter((part) => part.length > 0 && part.length <= PIECE).map((part) => part.join(''))
  return { exact, patterns: patterns.filter((pattern) => HAS_TRIGRAM.test(pattern)) }
}

function likeText(characters: readonly string[]): string {
  return escapeLike(characters.join(''))
}

/** More words than this are in so many documents that a walk meets one soon. */
const MAX_WORDS = 2_000

/**
 * The condition on `words` that every matching document with words meets, for the index; undefined when there is none that is worth asking:
 * then most documents are met by a walk sooner.
 */
export async function candidateCondition(db: Queryable, filter: ProductFilter): Promise<Sql | undefined> {
  const { exact, patterns } = wordsOfTerm(termOf(filter))
  const sets = await listFittingWords(db, patterns)
  const required = [...marksOf(filter), ...exact]
  // Behind a sub-select the planner does not weigh the words: it would take each for one of the common ones and read the whole table.
  const conditions = sets.map((words) => sql`words && (SELECT ${words}::text[])`)
  if (required.length > 0) conditions.push(sql`words @> (SELECT ${required}::text[])`)
  return conditions.length === 0 ? undefined : join(conditions, ' AND ')
}

/** For each pattern the known words that fit, without those patterns that too many fit. */
async function listFittingWords(db: Queryable, patterns: readonly string[]): Promise<string[][]> {
  if (patterns.length === 0) return []
  const rows = await db.rows<{ words: string[] }>(sql`
    SELECT ARRAY(
      SELECT word FROM (SELECT word FROM search_words WHERE word LIKE pattern OFFSET 0) fitting LIMIT ${MAX_WORDS + 1}) AS words
    FROM unnest(${patterns}::text[]) pattern`)
  return rows.map((row) => row.words).filter((words) => words.length <= MAX_WORDS)
}
