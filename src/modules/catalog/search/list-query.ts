import { InvalidError, type FieldErrors } from '../../../platform/errors.ts'
import { readPageRequest, type PageRequest } from '../../../platform/http/paging.ts'
import { isUuid } from '../../../platform/ids.ts'
import { fold } from './fold.ts'
import { MAX_PRICE, type ProductFilter } from './product-filter.ts'

/** The query of a list of products as it came: text, but for what the schema has judged. */
export interface ListQuery {
  page_size?: string
  offset?: string
  search_term?: string
  owner_user_id?: string
  tag?: string
  brand?: string
  condition?: string
  gender?: string
  min_price?: string
  max_price?: string
  sort?: 'newest' | 'relevance'
  facets?: 'true' | 'false'
}

export type ListOrder = { by: 'newest'; page: PageRequest } | { by: 'relevance'; skip: number; pageSize: number }

export interface ListRequest {
  filter: ProductFilter
  order: ListOrder
  hasFacets: boolean
}

const DEFAULT_PAGE_SIZE = 20
/** No more results than this are ranked, so none lies behind it. */
export const MAX_SKIP = 1_000

/** Reads the query; throws InvalidError naming every member that is not valid, or does not go with the others. */
export function readListQuery(query: ListQuery): ListRequest {
  const errors: FieldErrors = {}
  const filter: ProductFilter = {
    searchTerm: query.search_term,
    tagId: readUuid(query, 'tag', errors),
    brand: query.brand,
    condition: query.condition,
    gender: query.gender,
    minPrice: readPrice(query, 'min_price', errors),
    maxPrice: readPrice(query, 'max_price', errors),
  }
  const ownerId = readUuid(query, 'owner_user_id', errors)
  if (ownerId !== undefined) filter.ownerIds = [ownerId]
  const order = query.sort === 'relevance' ? readRelevance(query, errors) : readNewest(query, errors)
  if (order === undefined || Object.keys(errors).length > 0) throw InvalidError.fields(errors)
  if (order.by === 'newest') filter.before = order.page.offset
  return { filter, order, hasFacets: query.facets === 'true' }
}

function readUuid(query: ListQuery, name: 'tag' | 'owner_user_id', errors: FieldErrors): string | undefined {
  const text = query[name]
  // As the database writes ids: some of the tests compare texts.
  if (text === undefined || isUuid(text)) return text?.toLowerCase()
  errors[name] = ['A UUID is required.']
  return undefined
}

function readPrice(query: ListQuery, name: 'min_price' | 'max_price', errors: FieldErrors): number | undefined {
  const text = query[name]
  if (text === undefined) return undefined
  if (/^\d+$/.test(text) && Number(text) <= MAX_PRICE) return Number(text)
  errors[name] = ['A whole number of minor units is required.']
  return undefined
}

function readNewest(query: ListQuery, errors: FieldErrors): ListOrder | undefined {
  const page = readPage(query, errors)
  return page === undefined ? undefined : { by: 'newest', page }
}

/** The best results have no time to go on from, so `offset` is how many of them to skip. */
function readRelevance({ offset = '0', ...query }: ListQuery, errors: FieldErrors): ListOrder | undefined {
  if (fold(query.search_term ?? '').trim() === '') errors['search_term'] = ['Relevance needs something to search for.']
  const isNumber = /^\d{1,4}$/.test(offset) && Number(offset) <= MAX_SKIP
  if (!isNumber) errors['offset'] = [`A whole number from 0 to ${MAX_SKIP} is required with sort=relevance.`]
  const page = readPage(query, errors)
  return page === undefined ? undefined : { by: 'relevance', skip: Number(offset), pageSize: page.pageSize }
}

function readPage(query: Pick<ListQuery, 'page_size' | 'offset'>, errors: FieldErrors): PageRequest | undefined {
  try {
    return readPageRequest(query, DEFAULT_PAGE_SIZE)
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error
    Object.assign(errors, error.errors)
    return undefined
  }
}
