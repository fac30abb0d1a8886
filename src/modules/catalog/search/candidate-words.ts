import type { Queryable } from '../../../platform/db/db.ts'
import { join, sql, type Sql } from '../../../platform/db/sql.ts'
import { marksOf, termOf, type ProductFilter } from './product-filter.ts'
import { hasTrigram, keyedPattern, type KeyedPattern } from './trigrams.ts'
import { PIECE, splitWords, STEP } from './words.ts'

/** What must be true of the words of a document whose text contains a term. */
export interface TermWords {
  /** All of these are among them. */
  exact: string[]
  /** For each of these patterns, at least one fits. */
  patterns: KeyedPattern[]
}

/**
 * A term runs over words: what stands before its first break is the end of one, what stands after the last the beginning of one, what stands
 * between is a word itself, and without a break it is a part of one. Of parts too long to lie in one piece of a word, as much as does.
 */
export function wordsOfTerm(term: string): TermWords {
  const parts = splitWords(term).map((part) => Array.from(part))
  const first = parts.shift() ?? []
  const last = parts.pop()
  const patterns: KeyedPattern[] = []
  const add = (characters: readonly string[], fits: { begins?: true; ends?: true }): void => {
    const text = characters.join('')
    if (hasTrigram(text)) patterns.push(keyedPattern(text, fits))
  }
  if (last === undefined) add(first.slice(0, STEP), {})
  else {
    add(first.slice(-STEP), { ends: true })
    add(last.slice(0, STEP), { begins: true })
  }
  for (const part of parts) if (part.length > PIECE) add(part.slice(0, STEP), { begins: true })
  const exact = parts.filter((part) => part.length > 0 && part.length <= PIECE).map((part) => part.join(''))
  return { exact, patterns }
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
async function listFittingWords(db: Queryable, patterns: readonly KeyedPattern[]): Promise<string[][]> {
  if (patterns.length === 0) return []
  const array = (of: keyof KeyedPattern): string[] => patterns.map((pattern) => pattern[of])
  const rows = await db.rows<{ words: string[] }>(sql`
    SELECT ARRAY(
      SELECT word FROM (SELECT word FROM search_words WHERE trigram_key(word) LIKE key AND word LIKE pattern OFFSET 0) fitting
      LIMIT ${MAX_WORDS + 1}) AS words
    FROM unnest((SELECT ${array('pattern')}::text[]), (SELECT ${array('key')}::text[])) AS given (pattern, key)`)
  return rows.map((row) => row.words).filter((words) => words.length <= MAX_WORDS)
}
