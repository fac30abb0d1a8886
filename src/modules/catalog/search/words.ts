import { raw, sql, type Sql } from '../../../platform/db/sql.ts'
import { SEPARATOR } from './fold.ts'

/** What parts words: white space and punctuation of ASCII, and the separator of a document. */
const BREAKS = `${SEPARATOR}\t\n\v\f\r !"#$%&'()*+,-./:;<=>?@[\\]^_\`{|}~`
const BLANKS = ' '.repeat(BREAKS.length)
const BREAK = new RegExp(`[${BREAKS.replaceAll(/[\\\]^-]/g, String.raw`\$&`)}]`, 'u')

/** A longer word is stored in pieces of this length. */
export const PIECE = 64
/** From the beginning of one piece to that of the next: every part of a word up to this length lies in one of its pieces. */
export const STEP = 32
/** A multiple of STEP. To cut a piece out of a word takes as long as the way to it, so a very long word is cut into blocks first. */
const BLOCK = 2_048

/** The text between the breaks, in order; empty where breaks follow each other or stand at an end. */
export function splitWords(folded: string): string[] {
  return folded.split(BREAK)
}

/** An expression: the words of a folded text, those of one text as often as they stand there. */
export function wordsOf(text: Sql): Sql {
  return sql`string_to_array(translate(${text}, ${BREAKS}, ${BLANKS}), ' ')`
}

/** What a document is about beside its text. As words that no text has, they can be looked up together with those of a term. */
export const marks = {
  brand: (brand: string) => `${SEPARATOR}b${Array.from(brand).slice(0, MARK_LENGTH).join('')}`,
  condition: (condition: string) => `${SEPARATOR}c${Array.from(condition).slice(0, MARK_LENGTH).join('')}`,
  gender: (gender: string) => `${SEPARATOR}g${Array.from(gender).slice(0, MARK_LENGTH).join('')}`,
  tag: (tagId: string) => `${SEPARATOR}t${tagId}`,
}

/** An index entry has an end; what is cut off is compared with the row itself. */
const MARK_LENGTH = 100

/** An expression: the distinct words and marks of the document in a row of `product_search`, or one about to be; `row` is its name. */
export function documentWords(row: string): Sql {
  const column = (name: string): Sql => raw(`${row}.${name}`)
  const mark = (letter: string, name: string): Sql =>
    sql`${SEPARATOR + letter} || left(${column(name)}, ${MARK_LENGTH}::integer)`
  return sql`ARRAY(
    SELECT DISTINCT substr(block, place, ${PIECE}::integer)
    FROM unnest(${wordsOf(sql`${column('text')} || ${SEPARATOR} || ${column('tag_names')}`)}) word,
      generate_series(1, greatest(length(word) - ${STEP}::integer, 1), ${BLOCK}::integer) start,
      substr(word, start, ${BLOCK + PIECE}::integer) block,
      generate_series(1, greatest(least(length(word) - start + 1 - ${STEP}::integer, ${BLOCK}::integer), 1), ${STEP}::integer) place
    WHERE word <> '')
    || array_remove(ARRAY[${mark('b', 'brand')}, ${mark('c', 'condition')}, ${mark('g', 'gender')}], NULL)
    || ARRAY(SELECT ${`${SEPARATOR}t`} || tag_id FROM product_tags WHERE product_tags.product_id = ${column('product_id')})`
}

/** A statement that stores the words of these documents that are not known yet. Two transactions may both store one: that does no harm. */
export function learnWords(documents: string): Sql {
  return sql`
    INSERT INTO search_words (word)
    SELECT DISTINCT made.word FROM ${raw(documents)} document, unnest(document.words) AS made (word)
    WHERE made.word NOT LIKE ${`${SEPARATOR}%`} AND NOT EXISTS (SELECT FROM search_words known WHERE known.word = made.word)`
}
