import { Type } from 'typebox'

import type { Queryable } from '../../platform/db/db.ts'
import { NotFoundError } from '../../platform/errors.ts'
import type { App } from '../../platform/http/app.ts'
import { fetchPage, pageQuerySchema, presentPage, readPageRequest } from '../../platform/http/paging.ts'
import { usersByIds } from '../identity/index.ts'
import { presentSale } from './presenters.ts'
import { findSale, listSales, type SaleRow } from './sales-queries.ts'
import { salePageSchema, saleSchema } from './schemas.ts'

const tags = ['Sales']

/** What sellers see of the orders that hold their products. */
export function salesRoutes(app: App): void {
  app.get(
    '/api/sales/',
    {
      config: { errors: [400], postman: { order: 560 } },
      schema: {
        tags,
        operationId: 'listSales',
        summary: 'Orders of your products, newest first, each with your own lines only',
        querystring: pageQuerySchema,
        response: { 200: salePageSchema },
      },
    },
    async ({ caller, query }) => {
      const { pageSize, offset } = readPageRequest(query)
      const fetch = (limit: number) => listSales(app.db, caller.userId, { before: offset, limit })
      const page = await fetchPage(fetch, pageSize, (sale) => sale.created)
      const present = await presenterFor(app.db, page.rows, app.clock.now())
      return presentPage({ pageSize }, page, present)
    },
  )

  app.get(
    '/api/sales/:order_id/',
    {
      config: { postman: { order: 560, path: { order_id: '{{orderId}}' } } },
      schema: {
        tags,
        operationId: 'getSale',
        summary: 'One order of your products, with your own lines only',
        params: Type.Object({ order_id: Type.String({ format: 'uuid' }) }),
        response: { 200: saleSchema },
      },
    },
    async ({ caller, params }) => {
      const sale = await findSale(app.db, caller.userId, params.order_id)
      if (sale === undefined) throw new NotFoundError()
      const present = await presenterFor(app.db, [sale], app.clock.now())
      return present(sale)
    },
  )
}

/** Looks up the names of all customers at once. */
async function presenterFor(
  db: Queryable,
  sales: readonly SaleRow[],
  now: Date,
): Promise<(sale: SaleRow) => ReturnType<typeof presentSale>> {
  const users = await usersByIds(db, [...new Set(sales.map((sale) => sale.customerId))])
  return (sale) => presentSale(sale, users.get(sale.customerId)?.username ?? null, now)
}
