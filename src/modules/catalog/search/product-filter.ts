import type { Timestamp } from '../../../platform/clock.ts'
import { join, sql, type Sql } from '../../../platform/db/sql.ts'
import { ownerPresent } from '../deleted-owners.ts'
import { fold, SEPARATOR } from './fold.ts'
import { marks, splitWords } from './words.ts'

/** Which products are wanted; every member that is present narrows them. */
export interface ProductFilter {
  /** Title, description or the name of a tag contains it, without case and accents. Empty: no condition. */
  searchTerm?: string | undefined
  ownerIds?: readonly string[] | undefined
  tagId?: string | undefined
  /** Drafts of the owners as well. */
  includeDrafts?: boolean | undefined
  /** Updated before. */
  before?: Timestamp | undefined
  brand?: string | undefined
  condition?: string | undefined
  gender?: string | undefined
  /** Both ends belong to the range. */
  minPrice?: number | undefined
  maxPrice?: number | undefined
}

/** Conditions that an index by time serves: documents that meet them are walked through from the newest. */
export function sourceConditions(filter: ProductFilter): Sql {
  return join([shown(filter), ...ownConditions(filter), ownerPresent], ' AND ')
}

/**
 * The same of documents that the index of words finds. No index by time serves them: for want of knowing better the planner takes it for a good
 * idea to read all of that one as well.
 */
export function candidateConditions(filter: ProductFilter): Sql {
  return join(
    [sql`CASE WHEN ${shown(filter)} THEN true ELSE false END`, ...ownConditions(filter), ownerPresent],
    ' AND ',
  )
}

function shown({ includeDrafts, before }: ProductFilter): Sql {
  const isBefore = sql`updated < ${before ?? 'infinity'}::timestamptz`
  return includeDrafts === true ? isBefore : sql`${isBefore} AND state = 'AVAILABLE'`
}

function ownConditions({ ownerIds }: ProductFilter): Sql[] {
  if (ownerIds === undefined) return []
  return [ownerIds.length === 1 ? sql`owner_id = ${ownerIds[0]}` : sql`owner_id = ANY(${ownerIds}::uuid[])`]
}

/** Whether there is more to ask of a document than the walk does. */
export function hasTests(filter: ProductFilter): boolean {
  const { tagId, brand, condition, gender, minPrice, maxPrice } = filter
  return (
    termOf(filter) !== '' || [tagId, brand, condition, gender, minPrice, maxPrice].some((value) => value !== undefined)
  )
}

/**
 * What is asked of each document. Within CASE the planner cannot guess how many pass: its guesses decided, by luck, between a walk that ends
 * after a page and a look at everything. Absent conditions are NULL parameters, so that there are few different statements.
 */
export function testConditions(filter: ProductFilter): Sql {
  const { tagId, brand, condition, gender, minPrice, maxPrice } = filter
  const tests: Sql[] = []
  if ([tagId, brand, condition, gender, minPrice, maxPrice].some((value) => value !== undefined)) {
    tests.push(
      isNullOr(brand, sql`brand = ${brand ?? null}`),
      isNullOr(condition, sql`condition = ${condition ?? null}`),
      isNullOr(gender, sql`gender = ${gender ?? null}`),
      sql`price BETWEEN ${minPrice ?? 0}::bigint AND ${maxPrice ?? MAX_PRICE}::bigint`,
    )
  }
  const term = termOf(filter)
  if (term !== '') tests.push(containsTerm(term))
  if (tagId !== undefined) tests.push(bearsTag(tagId))
  return tests.length === 0 ? sql`true` : sql`CASE WHEN ${join(tests, ' AND ')} THEN true ELSE false END`
}

/** The largest price a number still holds exactly. */
export const MAX_PRICE = Number.MAX_SAFE_INTEGER

function isNullOr(value: string | undefined, test: Sql): Sql {
  return sql`(${value ?? null}::text IS NULL OR ${test})`
}

function containsTerm(term: string): Sql {
  const pattern = `%${escapeLike(term)}%`
  return sql`(text LIKE ${pattern} OR (tag_names LIKE ${pattern} AND ${currentTagNames} LIKE ${pattern}))`
}

/** The words of a term of several are all there, wherever; undefined for other terms. */
export function wordsApart(filter: ProductFilter): Sql | undefined {
  const words = splitWords(termOf(filter)).filter((word) => word !== '')
  if (words.length < 2) return undefined
  return join(words.map((word) => sql`text LIKE ${`%${escapeLike(word)}%`}`), ' AND ') // prettier-ignore
}

/**
 * The names of a document's tags as they are now. While documents are written anew, after a tag of many products was renamed or deleted,
 * `tag_names` may still hold a name that finds nothing any more.
 */
export const currentTagNames = sql`
  CASE WHEN EXISTS (SELECT FROM stale_tags) THEN (${joinedTagNames(sql`product_search.product_id`)}) ELSE tag_names END`

/** A statement of the text that documents keep of the tags of a product. */
export function joinedTagNames(productId: Sql): Sql {
  return sql`
    SELECT coalesce(string_agg(tags.name_folded, ${SEPARATOR} ORDER BY product_tags.place), '')
    FROM product_tags JOIN tags ON tags.id = product_tags.tag_id AND tags.deleted IS NULL
    WHERE product_tags.product_id = ${productId}`
}

/**
 * As a value and not with EXISTS, which the planner would answer by hashing all products of the tag. A deleted tag is borne by nothing. Words
 * that have not its mark spare the look-up.
 */
function bearsTag(tagId: string): Sql {
  return sql`(SELECT true FROM tags WHERE id = ${tagId} AND deleted IS NULL)
    AND (words IS NULL OR words @> ${[marks.tag(tagId)]}::text[])
    AND (SELECT true FROM product_tags WHERE product_tags.product_id = product_search.product_id AND tag_id = ${tagId})`
}

/** The marks that the words of a matching document must include. */
export function marksOf({ tagId, brand, condition, gender }: ProductFilter): string[] {
  const given: string[] = []
  if (tagId !== undefined) given.push(marks.tag(tagId))
  if (brand !== undefined) given.push(marks.brand(brand))
  if (condition !== undefined) given.push(marks.condition(condition))
  if (gender !== undefined) given.push(marks.gender(gender))
  return given
}

/** The term as documents have it. */
export function termOf({ searchTerm = '' }: ProductFilter): string {
  return fold(searchTerm)
}

/** The text as a literal part of a LIKE pattern. */
export function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`)
}
