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

/** How the index of words finds every matching document that has words. */
export interface Candidates {
  /** A statement; the condition and whoever asks whether it has rows need it as a common table expression of the name `sets`. */
  sets: Sql
  /** On `words`. */
  condition: Sql
  /** 'sometimes': where `sets` has no rows the condition finds nothing, and a walk must. */
  applies: 'always' | 'sometimes' | 'never'
}

/**
 * Of a term the known words that fit its patterns are looked up in the statement that reads the documents: words that are learned and made
 * between two would hide a document from the index and from those who look at documents without words.
 */
export function candidatesOf(filter: ProductFilter): Candidates {
  const { exact, patterns } = wordsOfTerm(termOf(filter))
  const required = [...marksOf(filter), ...exact]
  const hasRequired = required.length > 0
  const all = sql`SELECT ${patterns.length + 1}::bigint AS place, ${required}::text[] AS words`
  // Behind a sub-select the planner does not weigh the words: it would take each for one of the common ones and read the whole table.
  const conditions = patterns.map((_, n) => sql`words && (${wordsFor(n + 1)})`)
  if (hasRequired) conditions.push(sql`words @> (SELECT ${required}::text[])`)
  if (conditions.length === 0) return { sets: sql`${all} WHERE false`, condition: sql`false`, applies: 'never' }
  return {
    sets: hasRequired ? sql`${fittingWords(patterns)} UNION ALL ${all}` : fittingWords(patterns),
    condition: join(conditions, ' AND '),
    applies: hasRequired ? 'always' : 'sometimes',
  }
}

/** For each pattern the known words that fit, without those patterns that too many fit. */
function fittingWords(patterns: readonly KeyedPattern[]): Sql {
  const array = (of: keyof KeyedPattern): string[] => patterns.map((pattern) => pattern[of])
  return sql`
    SELECT place, words FROM (
      SELECT place, ARRAY(
        SELECT word FROM (SELECT word FROM search_words WHERE trigram_key(word) LIKE key AND word LIKE pattern OFFSET 0) fitting
        LIMIT ${MAX_WORDS + 1}) AS words
      FROM unnest((SELECT ${array('pattern')}::text[]), (SELECT ${array('key')}::text[])) WITH ORDINALITY AS given (pattern, key, place)
      OFFSET 0
    ) looked_up WHERE cardinality(words) <= ${MAX_WORDS}`
}

/** Where too many fit a pattern, those of another take their place: that one is asked twice then, and the number of conditions stays. */
function wordsFor(place: number): Sql {
  return sql`SELECT words FROM sets ORDER BY place <> ${place}, place LIMIT 1`
}
