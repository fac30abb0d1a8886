import type { FastifyRequest } from 'fastify'

import { NotFoundError } from '../../platform/errors.ts'
import type { App } from '../../platform/http/app.ts'
import { listFilterOptions } from './product-counts.ts'
import { findListedProduct } from './listed-product-queries.ts'
import { presentProduct } from './presenters.ts'
import { listProducts, type ProductPage } from './product-list.ts'
import { filterOptionsResponse, listQuery, listResponse, productParams, productSchema } from './schemas.ts'

const tags = ['Product feed']
const NO_PRODUCT = 'Product not found.'

/** The reading endpoints of the product feed (product-feed contract, section 4). */
export function registerProductFeedRoutes(app: App): void {
  app.get(
    '/list-products/',
    {
      schema: {
        tags,
        summary: 'List feed products',
        operationId: 'listFeedProducts',
        querystring: listQuery,
        response: { 200: listResponse },
      },
      config: { flatFieldErrors: true },
    },
    async (request) => {
      const found = await listProducts(app.db, request.query)
      return {
        count: found.count,
        ...neighbours(app, request, found),
        results: found.rows.map(presentProduct),
        total_pages: found.totalPages,
      }
    },
  )

  app.get(
    '/product-detail/:product_id/',
    {
      schema: {
        tags,
        summary: 'Show one feed product',
        operationId: 'getFeedProduct',
        params: productParams,
        response: { 200: productSchema },
      },
      config: { flatFieldErrors: true, notFound: NO_PRODUCT, postman: { path: { product_id: '{{feedProductId}}' } } },
    },
    async (request) => {
      const row = await findListedProduct(app.db, request.params.product_id)
      if (row === undefined) throw new NotFoundError(NO_PRODUCT)
      return presentProduct(row)
    },
  )

  app.get(
    '/filter-options/',
    {
      schema: {
        tags,
        summary: 'List the values to filter feed products by',
        operationId: 'listFilterOptions',
        response: { 200: filterOptionsResponse },
      },
    },
    () => listFilterOptions(app.db),
  )
}

function neighbours(
  app: App,
  request: FastifyRequest,
  { page, totalPages }: ProductPage,
): { next: string | null; previous: string | null } {
  return {
    next: page < totalPages ? pageAddress(app, request, page + 1) : null,
    previous: page > 1 ? pageAddress(app, request, page - 1) : null,
  }
}

/** The address of this request with another page; its other parameters are kept. */
function pageAddress(app: App, request: FastifyRequest, page: number): string {
  const [path = ''] = request.url.split('?', 1)
  const parameters = new URLSearchParams(request.url.slice(path.length))
  parameters.set('page', String(page))
  return `${app.origins.baseUrl(request)}${path}?${parameters.toString()}`
}
