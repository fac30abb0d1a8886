import { Readable } from 'node:stream'

import { Type } from 'typebox'

import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/db/db.ts'
import type { App } from '../../platform/http/app.ts'
import { fetchPage, pageQuerySchema, presentPage, readPageRequest } from '../../platform/http/paging.ts'
import { listOrdersOfCustomer, type Order } from './order-queries.ts'
import { presentOrder } from './presenters.ts'
import { orderPageSchema, orderSchema } from './schemas.ts'

/** Orders fetched at once for the list without pages; of a hundred lines each they come to about 2 MB. */
const STEP = 100

/** `GET /api/orders/`: a bare array of the caller's orders, or a page of them when a page is asked for. */
export function listOrdersRoute(app: App): void {
  app.get(
    '/api/orders/',
    {
      config: { errors: [400], postman: { order: 545 } },
      schema: {
        tags: ['Orders'],
        operationId: 'listOrders',
        summary: 'Your orders, oldest first: all of them, or with page_size or offset a page',
        querystring: pageQuerySchema,
        response: { 200: Type.Unsafe<unknown>(Type.Union([Type.Array(orderSchema), orderPageSchema])) },
      },
    },
    async ({ caller, query }, reply) => {
      if (query.page_size === undefined && query.offset === undefined) {
        // Before the answer begins, so that a database that is away is still told with a status.
        const first = await listOrdersOfCustomer(app.db, caller.userId, { after: undefined, limit: STEP })
        reply.type('application/json; charset=utf-8')
        return reply.send(Readable.from(jsonOf(app, caller.userId, first), { highWaterMark: 2 }))
      }
      const { pageSize, offset } = readPageRequest(query)
      const fetch = (limit: number) => listOrdersOfCustomer(app.db, caller.userId, { after: offset, limit })
      const page = await fetchPage(fetch, pageSize, (order) => order.created)
      const now = app.clock.now()
      return presentPage({ pageSize }, page, (order) => presentOrder(order, now))
    },
  )
}

/** The array as JSON text, in steps that are statements of their own: a slow client holds neither a connection nor a transaction. */
async function* jsonOf(
  { db, clock }: { db: Db; clock: Clock },
  customerId: string,
  first: readonly Order[],
): AsyncGenerator<string> {
  let rows = first
  let separator = '['
  while (rows.length > 0) {
    const now = clock.now()
    yield separator + rows.map((order) => JSON.stringify(presentOrder(order, now))).join(',')
    separator = ','
    const after = rows.at(-1)!.created
    rows = rows.length < STEP ? [] : await listOrdersOfCustomer(db, customerId, { after, limit: STEP })
  }
  yield separator === '[' ? '[]' : ']'
}
