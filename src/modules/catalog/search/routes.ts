import { Type, type Static } from 'typebox'

import type { Db } from '../../../platform/db/db.ts'
import { NotFoundError } from '../../../platform/errors.ts'
import type { App } from '../../../platform/http/app.ts'
import { presentPage } from '../../../platform/http/paging.ts'
import { uuidParam } from '../../../platform/http/schemas.ts'
import { usersByIds } from '../../identity/index.ts'
import { presentProduct } from '../products/presenters.ts'
import { countFacets, type Facets } from './facets.ts'
import { readListQuery, type ListRequest } from './list-query.ts'
import { listNewest } from './product-matches.ts'
import { listMostRelevant } from './relevance.ts'
import { productsQuery, productsResponse, sellerProductsQuery } from './schemas.ts'

const tags = ['Products']

/** Lists of products (store contract, sections 3 and 3.2). */
export function registerProductListRoutes(app: App): void {
  app.get(
    '/api/products/',
    {
      config: { postman: { query: { search_term: 'shirt', facets: 'true' } } },
      schema: {
        tags,
        summary: 'List and search the products of all sellers',
        operationId: 'listProducts',
        querystring: Type.Object(productsQuery),
        response: { 200: productsResponse },
      },
    },
    async ({ query }) => answerList(app.db, readListQuery(query)),
  )

  app.get(
    '/api/users/:id/products/',
    {
      config: { postman: { path: { id: '{{userId}}' } } },
      schema: {
        tags,
        summary: 'List and search the products of one seller; drafts too where that is the caller',
        operationId: 'listProductsOfUser',
        params: uuidParam,
        querystring: Type.Object(sellerProductsQuery),
        response: { 200: productsResponse },
      },
    },
    async ({ caller, params, query }) => {
      const request = readListQuery(query)
      const id = params.id.toLowerCase()
      if (!(await usersByIds(app.db, [id])).has(id)) throw new NotFoundError()
      const filter = { ...request.filter, ownerIds: [id], includeDrafts: id === caller.userId }
      return answerList(app.db, { ...request, filter })
    },
  )
}

async function answerList(db: Db, { filter, order, hasFacets }: ListRequest): Promise<Static<typeof productsResponse>> {
  const [page, facets] = await Promise.all([
    order.by === 'newest' ? newestPage(db, filter, order.page) : relevantPage(db, filter, order),
    hasFacets ? countFacets(db, filter) : undefined,
  ])
  return facets === undefined ? page : { ...page, facets: presentFacets(facets) }
}

type Order<By extends ListRequest['order']['by']> = Extract<ListRequest['order'], { by: By }>

async function newestPage(db: Db, filter: ListRequest['filter'], request: Order<'newest'>['page']) {
  return presentPage(request, await listNewest(db, filter, request.pageSize), presentProduct)
}

async function relevantPage(db: Db, filter: ListRequest['filter'], order: Order<'relevance'>) {
  const { products, nextSkip } = await listMostRelevant(db, filter, order)
  const metadata = {
    page_size: order.pageSize,
    offset_date: products.at(-1)?.updated ?? null,
    has_next: nextSkip !== null,
    next_offset: nextSkip,
  }
  return { metadata, data: products.map(presentProduct) }
}

function presentFacets({ counted, isExact, price, ...values }: Facets) {
  const ranges = price.map(({ min, max, count }) => ({ min_price: min, max_price: max, count }))
  return { counted, exact: isExact, ...values, price: ranges }
}
