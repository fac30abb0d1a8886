import { Type } from 'typebox'

import type { App } from '../../../platform/http/app.ts'
import { withDueOrdersExpired } from '../expire-orders.ts'
import { presentOrder } from '../presenters.ts'
import { orderSchema } from '../schemas.ts'
import { addToBag, discardBag, fillBag, openBag, removeFromBag, replaceBag, setQuantity } from './bag.ts'
import { findBag, type NewLine } from './bag-queries.ts'
import { checkOutBag } from './check-out.ts'
import { presentBag } from './presenters.ts'
import { bagSchema, itemParam, newLineBody, quantityBody, refusedSchema, replaceBagBody } from './schemas.ts'

const tags = ['Bag']

/** The bag of the caller (store contract, section 4). */
export function bagRoutes(app: App): void {
  wholeBagRoutes(app)
  itemRoutes(app)
  quantityRoutes(app)
  checkOutRoute(app)
}

function wholeBagRoutes(app: App): void {
  app.get(
    '/api/bag/',
    { schema: { tags, operationId: 'getBag', summary: 'The own bag', response: { 200: bagSchema } } },
    async ({ caller }) => {
      // The first look makes the bag, under scope read all the same: its id must be the same at the next look, and nobody else sees it.
      const bag = await findBag(app.db, caller.userId)
      if (bag !== undefined) return presentBag(fillBag(bag))
      return presentBag(await app.db.transaction((tx) => openBag(tx, caller.userId, app.clock.now())))
    },
  )

  app.put(
    '/api/bag/',
    {
      config: { postman: { order: 530, body: { items: [{ product_id: '{{productId}}', quantity: 2 }] } } },
      schema: {
        tags,
        operationId: 'replaceBag',
        summary: 'Replace what is in the bag',
        body: replaceBagBody,
        response: { 200: bagSchema, 400: refusedSchema },
      },
    },
    async ({ caller, body }) => {
      const lines = body.items.map(readLine)
      const bag = await app.db.transaction((tx) => replaceBag(tx, caller.userId, lines, app.clock.now()))
      return presentBag(bag)
    },
  )

  app.delete(
    '/api/bag/',
    {
      config: { postman: { order: 880 } },
      schema: {
        tags,
        operationId: 'discardBag',
        summary: 'Throw the bag away; the next use opens a new one',
        response: { 204: Type.Null() },
      },
    },
    async ({ caller }, reply) => {
      await app.db.transaction((tx) => discardBag(tx, caller.userId, app.clock.now()))
      return reply.code(204).send(null)
    },
  )
}

function itemRoutes(app: App): void {
  app.post(
    '/api/bag/items/',
    {
      config: {
        postman: { order: 520, body: { product_id: '{{productId}}', quantity: 1 }, save: { bagItemId: 'items.0.id' } },
      },
      schema: {
        tags,
        operationId: 'addToBag',
        summary: 'Put units of a variant into the bag',
        body: newLineBody,
        response: { 201: bagSchema, 400: refusedSchema },
      },
    },
    async ({ caller, body }, reply) => {
      const line = readLine(body)
      const bag = await app.db.transaction((tx) => addToBag(tx, caller.userId, line, app.clock.now()))
      return reply.code(201).send(presentBag(bag))
    },
  )

  app.delete(
    '/api/bag/items/:item_id/',
    {
      config: { postman: { order: 527, path: { item_id: '{{bagItemId}}' } } },
      schema: {
        tags,
        operationId: 'removeFromBag',
        summary: 'Take a line out of the bag',
        params: itemParam,
        response: { 204: Type.Null() },
      },
    },
    async ({ caller, params }, reply) => {
      await app.db.transaction((tx) => removeFromBag(tx, caller.userId, params.item_id, app.clock.now()))
      return reply.code(204).send(null)
    },
  )
}

/** PUT and PATCH are the same here: the quantity is all that can be changed. */
function quantityRoutes(app: App): void {
  for (const [method, operationId] of [
    ['PUT', 'replaceBagItem'],
    ['PATCH', 'updateBagItem'],
  ] as const) {
    app.route({
      method,
      url: '/api/bag/items/:item_id/',
      config: { postman: { order: 525, path: { item_id: '{{bagItemId}}' }, body: { quantity: 3 } } },
      schema: {
        tags,
        operationId,
        summary: 'Set how many units a line wants',
        params: itemParam,
        body: quantityBody,
        response: { 200: bagSchema },
      },
      handler: async ({ caller, params, body }) => {
        const change = { itemId: params.item_id, quantity: body.quantity }
        return presentBag(await app.db.transaction((tx) => setQuantity(tx, caller.userId, change, app.clock.now())))
      },
    })
  }
}

function checkOutRoute(app: App): void {
  app.post(
    '/api/bag/checkout/',
    {
      config: { postman: { order: 535 } },
      schema: {
        tags,
        operationId: 'checkOutBag',
        summary: 'Order what is in the bag: all of it, or nothing',
        response: { 201: orderSchema, 400: refusedSchema },
      },
    },
    async ({ caller }, reply) => {
      const { confirmWindowSeconds } = app.config.orders
      const order = await withDueOrdersExpired(app, (tx) =>
        checkOutBag(tx, { ownerId: caller.userId, confirmWindowSeconds, now: app.clock.now() }),
      )
      return reply.code(201).header('location', `/api/orders/${order.id}/`).send(presentOrder(order, app.clock.now()))
    },
  )
}

function readLine(line: { product_id: string; variant?: string; quantity?: number }): NewLine {
  return { productId: line.product_id, variant: line.variant ?? 'default', quantity: line.quantity ?? 1 }
}
