import { Type, type TSchema } from 'typebox'

import type { Timestamp } from '../clock.ts'
import { InvalidError, type FieldErrors } from '../errors.ts'
import { readTimestamp } from '../read-timestamp.ts'
import { nullable, timestampSchema } from './schemas.ts'

const MAX_PAGE_SIZE = 100
const DEFAULT_PAGE_SIZE = 20

/** Members of the query schema of a paged list; text, because the contract's errors are those of `readPageRequest`. */
export const pageQuery = {
  page_size: Type.Optional(Type.String({ description: 'Rows per page, from 1; more than 100 is taken as 100.' })),
  offset: Type.Optional(Type.String({ description: 'The `offset_date` of the previous page.' })),
}

/** The query schema of a list that takes nothing else. */
export const pageQuerySchema = Type.Object(pageQuery)

export interface PageRequest {
  pageSize: number
  /** Where the page begins; undefined for the first. */
  offset: Timestamp | undefined
}

/** Reads `page_size` and `offset` (store contract, section 1); throws InvalidError naming those that are neither absent nor valid. */
export function readPageRequest(
  query: { page_size?: string; offset?: string },
  defaultSize = DEFAULT_PAGE_SIZE,
): PageRequest {
  const errors: FieldErrors = {}
  const pageSize = query.page_size === undefined ? defaultSize : readPageSize(query.page_size)
  const offset = query.offset === undefined ? undefined : readTimestamp(query.offset)
  if (pageSize === undefined) errors['page_size'] = ['A whole number of 1 or more is required.']
  if (query.offset !== undefined && offset === undefined) errors['offset'] = ['A timestamp is required.']
  if (pageSize === undefined || Object.keys(errors).length > 0) throw InvalidError.fields(errors)
  return { pageSize, offset }
}

function readPageSize(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined
  const size = Math.min(Number(text), MAX_PAGE_SIZE)
  return size === 0 ? undefined : size
}

export interface Page<Row> {
  rows: Row[]
  /** Time of the last row; null when there is none. */
  offsetDate: Timestamp | null
  hasNext: boolean
}

/**
 * Cuts a page out of rows that were fetched by `FETCH FIRST <pageSize + 1> ROWS WITH TIES`: it is extended over rows that share the time of
 * its last one, so that a page beginning after that time loses none of them. Where it is extended to the last row that came, more may
 * remain: `fetchPage` finds out.
 */
export function cutPage<Row>(rows: readonly Row[], pageSize: number, timeOf: (row: Row) => Timestamp): Page<Row> {
  const last = rows[Math.min(pageSize, rows.length) - 1]
  if (last === undefined) return { rows: [], offsetDate: null, hasNext: false }
  const offsetDate = timeOf(last)
  let end = pageSize
  while (end < rows.length && timeOf(rows[end]!) === offsetDate) end += 1
  return { rows: rows.slice(0, end), offsetDate, hasNext: end < rows.length }
}

/**
 * Fetches and cuts a page; `fetch` is a `FETCH FIRST <limit> ROWS WITH TIES`. Where the page ends among rows of one time that are all that
 * came, it asks again for one more: whether rows remain after them is not known otherwise.
 */
export async function fetchPage<Row>(
  fetch: (limit: number) => Promise<Row[]>,
  pageSize: number,
  timeOf: (row: Row) => Timestamp,
): Promise<Page<Row>> {
  for (let limit = pageSize + 1; ;) {
    const rows = await fetch(limit)
    const page = cutPage(rows, pageSize, timeOf)
    if (page.hasNext || rows.length < limit) return page
    limit = rows.length + 1
  }
}

/** `{"metadata": {...}, "data": [...]}` */
export function pageSchema<Item extends TSchema>(item: Item) {
  return Type.Object({
    metadata: Type.Object({
      page_size: Type.Integer(),
      offset_date: nullable(timestampSchema),
      has_next: Type.Boolean(),
    }),
    data: Type.Array(item),
  })
}

interface PresentedPage<Item> {
  metadata: { page_size: number; offset_date: Timestamp | null; has_next: boolean }
  data: Item[]
}

export function presentPage<Row, Item>(
  { pageSize }: Pick<PageRequest, 'pageSize'>,
  { rows, offsetDate, hasNext }: Page<Row>,
  present: (row: Row) => Item,
): PresentedPage<Item> {
  return { metadata: { page_size: pageSize, offset_date: offsetDate, has_next: hasNext }, data: rows.map(present) }
}
