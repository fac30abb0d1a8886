import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'

import { NotFoundError } from '../../platform/errors.ts'
import type { App } from '../../platform/http/app.ts'
import { listFilterOptions } from './product-counts.ts'
import { findListedProduct, type ProductText } from './listed-product-queries.ts'
import { listProducts, type ProductPage } from './product-list.ts'
import { filterOptionsResponse, listQuery, listResponse, productParams, productSchema } from './schemas.ts'

const tags = ['Product feed']
const NO_PRODUCT = 'Product not found.'
const JSON_TYPE = 'application/json; charset=utf-8'

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
        response: { 200: Type.Unsafe<string>(listResponse) },
      },
      config: { flatFieldErrors: true },
    },
    async (request, reply) => {
      const found = await listProducts(app.db, request.query)
      return reply.type(JSON_TYPE).send(writePage(found, neighbours(app, request, found)))
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
        response: { 200: Type.Unsafe<ProductText>(productSchema) },
      },
      config: { flatFieldErrors: true, notFound: NO_PRODUCT, postman: { path: { product_id: '{{feedProductId}}' } } },
    },
    async (request, reply) => {
      const product = await findListedProduct(app.db, request.params.product_id)
      if (product === undefined) throw new NotFoundError(NO_PRODUCT)
      return reply.type(JSON_TYPE).send(product)
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

interface Neighbours {
  next: string | null
  previous: string | null
}

/** The products are JSON already. */
function writePage({ count, products, totalPages }: ProductPage, { next, previous }: Neighbours): string {
  const links = `"next":${JSON.stringify(next)},"previous":${JSON.stringify(previous)}`
  return `{"count":${count},${links},"results":[${products.join(',')}],"total_pages":${totalPages}}`
}

function neighbours(app: App, request: FastifyRequest, { page, totalPages }: ProductPage): Neighbours {
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
