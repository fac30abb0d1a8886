import fc from 'fast-check'
import type { LightMyRequestResponse } from 'fastify'
import { expect } from 'vitest'

import { expectOrder } from './compare.ts'
import {
  anyLine,
  anyOne,
  anyUser,
  define,
  expectStatus,
  hasOrders,
  hasProducts,
  isTurnedAway,
  lineOf,
  mostlyOwner,
  orderOf,
  userOf,
} from './command.ts'
import type { ModelLine, ModelOrder, ModelUser, StoreModel, Taken } from './reference.ts'
import { CONFIRM_WINDOW_SECONDS } from './world.ts'

const place = define(fc.record({ who: anyUser, wishes: fc.array(anyLine, { minLength: 1, maxLength: 3 }) }), {
  name: 'order',
  isPossible: hasProducts,
  run: async (model, world, { who, wishes }) => {
    const user = userOf(model, who)
    const lines = wishes.map((wish) => lineOf(model, wish))
    const products = lines.map(({ product, variant, quantity }) => ({ id: product.id, variant, quantity }))
    const answer = await world.call('POST', '/api/orders/', user, { products })
    if (isTurnedAway(user, answer)) return
    if (new Set(lines.map(({ product, variant }) => `${product.id} ${variant}`)).size < lines.length)
      return expectStatus(answer, 400)
    const taken = model.take(lines)
    if (taken.result === 'taken') expectOrdered(model, answer, user, lines)
    else expectRefused(answer, taken)
  },
})

const anyReference = fc.constantFrom('my money', 'my money', 'pseudo-decline 1', 'pseudo-hold 1')

const confirm = define(fc.record({ who: mostlyOwner, which: anyOne, reference: anyReference }), {
  name: 'confirm',
  isPossible: hasOrders,
  run: async (model, world, { who, which, reference }) => {
    const order = orderOf(model, which)
    const user = who === undefined ? order.customer : userOf(model, who)
    const url = `/api/orders/${order.id}/confirm/`
    const answer = await world.call('POST', url, user, { payment: { method: 'card', reference } })
    if (isTurnedAway(user, answer)) return
    if (user !== order.customer) return expectStatus(answer, 403)
    if (model.isDue(order)) {
      model.end(order, 'NOT_CONFIRMED')
      return expectStatus(answer, 400)
    }
    if (order.state === 'PENDING_CONFIRMATION') {
      order.state = 'CONFIRMED'
      order.payment = { reference, status: 'pending' }
    }
    if (order.state !== 'CONFIRMED') return expectStatus(answer, 400)
    expectStatus(answer, 200)
    expectOrder(answer, model, order)
  },
})

const confirmForNothing = define(fc.record({ which: anyOne }), {
  name: 'confirm without payment',
  isPossible: (model, { which }) => hasOrders(model) && !orderOf(model, which).customer.isDeleted,
  run: async (model, world, { which }) => {
    const order = orderOf(model, which)
    const answer = await world.call('POST', `/api/orders/${order.id}/confirm/`, order.customer, {})
    if (model.isDue(order)) model.end(order, 'NOT_CONFIRMED')
    expectStatus(answer, order.state === 'CONFIRMED' ? 200 : 400)
  },
})

const cancel = define(fc.record({ who: mostlyOwner, which: anyOne }), {
  name: 'cancel',
  isPossible: hasOrders,
  run: async (model, world, { who, which }) => {
    const order = orderOf(model, which)
    const user = who === undefined ? order.customer : userOf(model, who)
    const answer = await world.call('POST', `/api/orders/${order.id}/cancel/`, user)
    if (isTurnedAway(user, answer)) return
    if (user !== order.customer) return expectStatus(answer, 403)
    if (model.isDue(order)) model.end(order, 'NOT_CONFIRMED')
    const isPossible = ['PENDING_CONFIRMATION', 'CONFIRMED'].includes(order.state)
    expectStatus(answer, isPossible ? 200 : 400)
    if (!isPossible) return
    model.end(order, 'CANCELLED')
    expectOrder(answer, model, order)
  },
})

const byStaff = define(fc.record({ action: fc.constantFrom('accept' as const, 'ship' as const), which: anyOne }), {
  name: 'by staff',
  isPossible: hasOrders,
  run: async (model, world, { action, which }) => {
    const order = orderOf(model, which)
    const answer = await world.call('POST', `/api/orders/${order.id}/${action}/`, world.staff)
    if (model.isDue(order)) model.end(order, 'NOT_CONFIRMED')
    const isPossible = order.state === (action === 'accept' ? 'CONFIRMED' : 'ACCEPTED')
    expectStatus(answer, isPossible ? 200 : 400)
    if (!isPossible) return
    if (action === 'accept') model.accept(order)
    else order.state = 'SHIPPED'
    expectOrder(answer, model, order)
  },
})

const read = define(fc.record({ who: anyUser, which: anyOne }), {
  name: 'read order',
  isPossible: hasOrders,
  run: async (model, world, { who, which }) => {
    const [user, order] = [userOf(model, who), orderOf(model, which)]
    const answer = await world.call('GET', `/api/orders/${order.id}/`, user)
    if (isTurnedAway(user, answer)) return
    expectStatus(answer, user === order.customer ? 200 : 403)
    if (user === order.customer) expectOrder(answer, model, order)
  },
})

/** The order that was made, as the model has it now. */
export function expectOrdered(
  model: StoreModel,
  answer: LightMyRequestResponse,
  customer: ModelUser,
  lines: readonly ModelLine[],
): void {
  expectStatus(answer, 201)
  const order: ModelOrder = {
    id: answer.json<{ id: string }>().id,
    customer,
    state: 'PENDING_CONFIRMATION',
    lines: lines.map((line) => ({ ...line, unitPrice: line.product.price })),
    confirmBefore: model.now + CONFIRM_WINDOW_SECONDS * 1000,
    payment: undefined,
  }
  model.orders.push(order)
  expectOrder(answer, model, order)
}

/** Store contract, section 5.1: what is missing is named, of what is short one product. */
export function expectRefused(answer: LightMyRequestResponse, refusal: Exclude<Taken, { result: 'taken' }>): void {
  expectStatus(answer, 400)
  const { error, missing } = answer.json<{ error: string; missing?: [string, string][] }>()
  if (refusal.result === 'missing') {
    expect(error).toBe('requested products and/or stock variants that do not exist')
    expect(missing).toEqual(refusal.lines.map(({ product, variant }) => [product.id, variant]))
  } else {
    const texts = refusal.lines.map(
      ({ product }) => `available stock for product ${product.id} is less than desired amount`,
    )
    expect(texts).toContain(error)
  }
}

export const orderCommands = [
  { weight: 14, arbitrary: place },
  { weight: 10, arbitrary: confirm },
  { weight: 2, arbitrary: confirmForNothing },
  { weight: 3, arbitrary: cancel },
  { weight: 6, arbitrary: byStaff },
  { weight: 2, arbitrary: read },
]
