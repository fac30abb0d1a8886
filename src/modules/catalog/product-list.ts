import type { Db } from '../../platform/db/db.ts'
import { InvalidError, NotFoundError, type FieldErrors } from '../../platform/errors.ts'
import { feedFields } from './feed/feed-item.ts'
import { listDeepPage, listShallowPage, type ListedPage, type ListOrder } from './listed-product-queries.ts'
import type { Facets } from './product-counts.ts'

/** The query of `GET /list-products/` as it came; every parameter is text (product-feed contract, section 4). */
export interface ListQuery {
  condition?: string
  gender?: string
  brand?: string
  sort_by?: string
  order?: string
  page?: string
  page_size?: string
}

export interface ProductPage extends ListedPage {
  /** 1 of an empty result too. */
  page: number
  totalPages: number
}

const DEFAULT_PAGE_SIZE = 5
const MAX_PAGE_SIZE = 100
/** Rows passed over at most in one go from the start; beyond it the count is asked for first, to come from the nearer end. */
const SHALLOW_ROWS = 1_000
const sortFields: ReadonlySet<string> = new Set(feedFields.map((field) => field.json))

/** One page of the listed feed products. Throws InvalidError for an unknown order and NotFoundError beyond the end. */
export async function listProducts(db: Db, query: ListQuery): Promise<ProductPage> {
  const order = readOrder(query)
  const facets: Facets = { condition: query.condition ?? '', gender: query.gender ?? '', brand: query.brand ?? '' }
  const limit = readPageSize(query.page_size)
  const wanted = readPage(query.page)
  const found = await findPage(db, facets, order, limit, wanted)

  const totalPages = Math.ceil(found.count / limit)
  const page = wanted === 'last' ? Math.max(totalPages, 1) : wanted
  if (page > 1 && found.products.length === 0) throw new NotFoundError('Invalid page.')
  return { ...found, page, totalPages }
}

function findPage(
  db: Db,
  facets: Facets,
  order: ListOrder,
  limit: number,
  wanted: number | 'last',
): Promise<ListedPage> {
  if (wanted === 'last') {
    return listDeepPage(db, facets, order, limit, (count) => Math.max(Math.ceil(count / limit) - 1, 0) * limit)
  }
  const offset = (wanted - 1) * limit
  if (offset > SHALLOW_ROWS) return listDeepPage(db, facets, order, limit, () => offset)
  return listShallowPage(db, facets, order, { limit, offset })
}

function readOrder({ sort_by: field = 'title', order = 'asc' }: ListQuery): ListOrder {
  const errors: FieldErrors = {}
  if (!sortFields.has(field)) errors['sort_by'] = ['Must be the name of a product field.']
  if (order !== 'asc' && order !== 'desc') errors['order'] = ['Must be asc or desc.']
  if (Object.keys(errors).length > 0) throw InvalidError.fields(errors)
  return { field, descending: order === 'desc' }
}

/** Thirteen digits times the largest page size are still exact as a number. */
function readPage(text = '1'): number | 'last' {
  if (text === 'last') return text
  if (!/^[1-9]\d{0,12}$/.test(text)) throw new NotFoundError('Invalid page.')
  return Number(text)
}

function readPageSize(text = ''): number {
  if (!/^\d+$/.test(text) || Number(text) === 0) return DEFAULT_PAGE_SIZE
  return Math.min(Number(text), MAX_PAGE_SIZE)
}
