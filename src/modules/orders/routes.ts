import { InvalidError, NotFoundError } from '../../platform/errors.ts'
import type { App } from '../../platform/http/app.ts'
import type { Tx } from '../../platform/db/db.ts'
import { uuidParam } from '../../platform/http/schemas.ts'
import { isUuid } from '../../platform/ids.ts'
import type { StockLine } from '../catalog/index.ts'
import { refusedSchema } from './bag/schemas.ts'
import { hasCardNumber } from './card-number.ts'
import { withDueOrdersExpired } from './expire-orders.ts'
import { listOrdersRoute } from './list-orders-route.ts'
import { findOrder } from './order-queries.ts'
import { acceptOrder, cancelOrder, confirmOrder, shipOrder, type TransitionResult } from './order-transitions.ts'
import type { PaymentDetails, PaymentMethod } from './payment-queries.ts'
import { placeOrder } from './place-order.ts'
import { requireReader } from './policy.ts'
import { presentOrder } from './presenters.ts'
import { confirmOrderBody, orderSchema, placeOrderBody } from './schemas.ts'

const tags = ['Orders']
const path = { id: '{{orderId}}' }

/** Orders (store contract, section 5). */
export function orderRoutes(app: App): void {
  placeRoute(app)
  listOrdersRoute(app)
  readRoute(app)
  confirmRoute(app)
  cancelRoute(app)
  staffRoutes(app)
}

function placeRoute(app: App): void {
  app.post(
    '/api/orders/',
    {
      config: {
        postman: { order: 540, body: { products: [{ id: '{{productId}}', quantity: 1 }] }, save: { orderId: 'id' } },
      },
      schema: {
        tags,
        operationId: 'placeOrder',
        summary: 'Place an order: all of its units are set aside, or none',
        body: placeOrderBody,
        response: { 201: orderSchema, 400: refusedSchema },
      },
    },
    async ({ caller, body }, reply) => {
      const lines = readLines(body.products)
      const { confirmWindowSeconds } = app.config.orders
      const order = await withDueOrdersExpired(app, (tx) => {
        const now = app.clock.now()
        return placeOrder(tx, { customerId: caller.userId, actor: caller.userId, lines, confirmWindowSeconds, now })
      })
      return reply.code(201).header('location', `/api/orders/${order.id}/`).send(presentOrder(order, app.clock.now()))
    },
  )
}

function readRoute(app: App): void {
  app.get(
    '/api/orders/:id/',
    {
      config: { errors: [403], postman: { order: 545, path } },
      schema: {
        tags,
        operationId: 'getOrder',
        summary: 'An order of yours; staff may read any',
        params: uuidParam,
        response: { 200: orderSchema },
      },
    },
    async ({ caller, params }) => {
      const order = await findOrder(app.db, params.id)
      if (order === undefined) throw new NotFoundError()
      requireReader(caller, order)
      return presentOrder(order, app.clock.now())
    },
  )
}

function confirmRoute(app: App): void {
  app.post(
    '/api/orders/:id/confirm/',
    {
      // Whose order it is and what state it is in come before what is in the body: a confirmed order needs none.
      attachValidation: true,
      config: { errors: [403], postman: { order: 550, path, body: { payment: { method: 'card' } } } },
      schema: {
        tags,
        operationId: 'confirmOrder',
        summary: 'Confirm an order in time, with payment details; a confirmed one stays as it is',
        params: uuidParam,
        body: confirmOrderBody,
        response: { 200: orderSchema },
      },
    },
    async (request) => {
      const { caller, params } = request
      if (!isUuid(params.id)) throw new NotFoundError()
      const readPayment = (): PaymentDetails => {
        if (request.validationError) throw request.validationError
        return readPaymentDetails(request.body.payment)
      }
      return transition(app, (tx, now) => confirmOrder(tx, { caller, id: params.id, now, readPayment }))
    },
  )
}

function cancelRoute(app: App): void {
  app.post(
    '/api/orders/:id/cancel/',
    {
      // In sequence the payment may have been quicker.
      config: { errors: [400, 403], postman: { order: 555, path, expect: [200, 400] } },
      schema: {
        tags,
        operationId: 'cancelOrder',
        summary: 'Call off an order that is not accepted yet',
        params: uuidParam,
        response: { 200: orderSchema },
      },
    },
    ({ caller, params }) => transition(app, (tx, now) => cancelOrder(tx, { caller, id: params.id, now })),
  )
}

function staffRoutes(app: App): void {
  const step = (summary: string, operationId: string) =>
    ({
      // The collection's user is no staff.
      config: { access: 'staff', errors: [400], postman: { order: 557, path, expect: 403 } },
      schema: { tags, operationId, summary, params: uuidParam, response: { 200: orderSchema } },
    }) as const

  app.post('/api/orders/:id/accept/', step('Accept a confirmed order (staff)', 'acceptOrder'), ({ caller, params }) =>
    transition(app, (tx, now) => acceptOrder(tx, { caller, id: params.id, now })),
  )

  app.post('/api/orders/:id/ship/', step('Ship an accepted order (staff)', 'shipOrder'), ({ caller, params }) =>
    transition(app, (tx, now) => shipOrder(tx, { caller, id: params.id, now })),
  )
}

/** That an order was too late is committed before it is told. */
async function transition(
  app: App,
  work: (tx: Tx, now: Date) => Promise<TransitionResult>,
): Promise<ReturnType<typeof presentOrder>> {
  const outcome = await app.db.transaction((tx) => work(tx, app.clock.now()))
  if (outcome.result === 'done') return presentOrder(outcome.order, app.clock.now())
  throw new InvalidError('The order is NOT_CONFIRMED: the time to confirm it has passed.', { code: 'wrong_state' })
}

function readLines(products: readonly { id: string; variant?: string; quantity: number }[]): StockLine[] {
  const lines = products.map(({ id, variant = 'default', quantity }) => ({
    productId: id.toLowerCase(),
    variant,
    quantity,
  }))
  const keys = new Set(lines.map(({ productId, variant }) => `${productId} ${variant}`))
  if (keys.size === lines.length) return lines
  throw InvalidError.fields({ products: ['The same product and variant may be given only once.'] })
}

function readPaymentDetails({ method, reference }: { method: PaymentMethod; reference?: string }): PaymentDetails {
  if (reference !== undefined && hasCardNumber(reference)) {
    throw InvalidError.fields({ 'payment.reference': ['This looks like a card number, which must not be given here.'] })
  }
  return { method, reference: reference ?? null }
}
