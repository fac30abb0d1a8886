import type { Db } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import { hasTrigram, keyedPattern, trigramKey } from './trigrams.ts'
import { splitWords, STEP } from './words.ts'

/** Words of a term that are looked up; what follows is left to the literal search. */
const MAX_PARTS = 8
const MAX_CONTAINING = 200
const MAX_SIMILAR = 50
/** Two letters exchanged in a word of five leave a fifth of its trigrams in common with the right one. */
const THRESHOLD = 0.2
/** Letters beyond ASCII are spelt with many characters, of which any two words of one script share more than half. */
const SPELT_THRESHOLD = 0.65

interface KnownWords {
  part: string
  containing: string[]
  similar: string[]
}

/** For each word of a term the known words that may be meant by it: those that contain it, and those a typing error away. */
export async function wordsMeant(db: Db, term: string): Promise<string[][]> {
  const parts = [...new Set(splitWords(term))].filter((part) => part !== '').slice(0, MAX_PARTS)
  const rows = await listKnownWords(db, parts.map((part) => Array.from(part).slice(0, STEP).join(''))) // prettier-ignore
  return rows
    .map(({ part, containing, similar }) => [
      ...new Set([part, ...containing, ...similar.filter((word) => isTypingError(part, word))]),
    ])
    .filter((words) => words.length > 0)
}

async function listKnownWords(db: Db, parts: readonly string[]): Promise<KnownWords[]> {
  const keys = parts.map(trigramKey)
  const threshold = keys.every((key, index) => key === parts[index]) ? THRESHOLD : SPELT_THRESHOLD
  const patterns = parts.map((part) => keyedPattern(part, hasTrigram(part) ? {} : { begins: true, ends: true }))
  return db.transaction(
    async (tx) => {
      await tx.run(sql`SELECT set_config('pg_trgm.similarity_threshold', ${String(threshold)}, true)`)
      return tx.rows<KnownWords>(sql`
        SELECT part,
          ARRAY(SELECT word FROM (
            SELECT word FROM search_words WHERE trigram_key(word) LIKE pattern_key AND word LIKE pattern OFFSET 0) fitting
            LIMIT ${MAX_CONTAINING}) AS containing,
          ARRAY(SELECT word FROM search_words WHERE trigram_key(word) % part_key
            ORDER BY similarity(trigram_key(word), part_key) DESC, word LIMIT ${MAX_SIMILAR}) AS similar
        FROM unnest(${parts}::text[], ${keys}::text[], ${patterns.map(({ pattern }) => pattern)}::text[],
          ${patterns.map(({ key }) => key)}::text[]) AS given (part, part_key, pattern, pattern_key)`)
    },
    { readOnly: true },
  )
}

/** One error in a word of three to five characters, two in a longer one. */
function isTypingError(typed: string, word: string): boolean {
  const length = Math.min(typed.length, word.length)
  if (length < 3) return false
  return editDistance(typed, word) <= (length <= 5 ? 1 : 2)
}

/** Characters to insert, remove, replace or exchange with their neighbour (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1
      const isExchange = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const replaced = above[column - 1]! + cost
      const exchanged = isExchange ? before[column - 2]! + 1 : replaced
      current.push(Math.min(replaced, exchanged, above[column]! + 1, current[column - 1]! + 1))
    }
    before = above
    above = current
  }
  return above[b.length]!
}
