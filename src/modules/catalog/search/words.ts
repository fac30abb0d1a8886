import { sql, type Sql } from '../../../platform/db/sql.ts'
import { SEPARATOR } from './fold.ts'

/** What parts words: white space and punctuation of ASCII, and the separator of a document. */
const BREAKS = `${SEPARATOR}\t\n\v\f\r !"#$%&'()*+,-./:;<=>?@[\\]^_\`{|}~`
const BLANKS = ' '.repeat(BREAKS.length)

/** A longer word is stored in pieces, each `PIECE` long and beginning `STEP` after the last: every part of up to `STEP` lies in one. */
const PIECE = 64
export const STEP = 32

/** An expression: the distinct words of a folded text. */
export function distinctWords(text: Sql): Sql {
  return sql`ARRAY(
    SELECT DISTINCT substr(word, place, ${PIECE}::integer)
    FROM unnest(string_to_array(translate(${text}, ${BREAKS}, ${BLANKS}), ' ')) word,
      generate_series(1, greatest(length(word) - ${STEP}::integer, 1), ${STEP}::integer) place
    WHERE word <> '')`
}

/** A statement that stores those words of `documents.words` that are not known yet. Two transactions may both store one: that does no harm. */
export function learnWords(documents: Sql): Sql {
  return sql`
    INSERT INTO search_words (word)
    SELECT DISTINCT word.word FROM ${documents} documents, unnest(documents.words) AS word (word)
    WHERE NOT EXISTS (SELECT FROM search_words known WHERE known.word = word.word)`
}
