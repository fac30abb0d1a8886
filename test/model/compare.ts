import type { LightMyRequestResponse as Answer } from 'fastify'
import { expect } from 'vitest'

import type { ModelLine, ModelOrder, ModelProduct, ModelUser, StoreModel } from './reference.ts'
import type { World } from './world.ts'

/** An order as the model expects to read it. */
function shownOrder(model: StoreModel, order: ModelOrder): object {
  return {
    id: order.id,
    state: model.shownState(order),
    customer_id: order.customer.id,
    order_line_items: order.lines.map(({ product, variant, quantity, unitPrice }) => ({
      product_id: product.id,
      variant,
      quantity,
      unit_price: unitPrice,
    })),
    total: order.lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0),
    payment: order.payment === undefined ? null : { method: 'card', status: order.payment.status },
    confirm_before: new Date(order.confirmBefore).toISOString().slice(0, -1),
  }
}

/** Times agree to the millisecond: the model knows nothing of the microseconds that keep times apart. */
export function expectOrder(answer: Answer, model: StoreModel, order: ModelOrder): void {
  const seen = answer.json<{ confirm_before: string }>()
  const atMillisecond = { ...seen, confirm_before: seen.confirm_before.slice(0, 23) }
  expect(atMillisecond).toMatchObject(shownOrder(model, order))
}

export function expectProduct(answer: Answer, product: ModelProduct): void {
  const seen = answer.json<{ stock: object }>()
  expect(seen).toMatchObject(shownProduct(product))
  // A match may have more members; a product may not have more variants.
  expect(seen.stock).toEqual(Object.fromEntries(product.stock))
}

export function expectBag(answer: Answer, model: StoreModel, user: ModelUser): void {
  expect(answer.json()).toMatchObject(shownBag(model, user))
}

function shownProduct({ id, owner, title, price, stock, state }: ModelProduct): object {
  return {
    id,
    owner_user_id: owner.id,
    title,
    price,
    stock: Object.fromEntries(stock),
    state,
    sold_out: [...stock.values()].every((quantity) => quantity === 0),
  }
}

function shownBag(model: StoreModel, user: ModelUser): object {
  const items = user.bag.map((line) => shownItem(model, line))
  return {
    state: 'OPEN',
    items,
    total: items.reduce((sum, item) => sum + (item.purchasable ? item.subtotal : 0), 0),
  }
}

function shownItem(model: StoreModel, line: ModelLine) {
  const { product, variant, quantity } = line
  const available = model.isOrderable(line) ? model.free(line) : 0
  return {
    product_id: product.id,
    variant,
    quantity,
    title: product.title,
    unit_price: product.price,
    subtotal: product.price * quantity,
    available,
    purchasable: model.isOrderable(line) && available >= quantity,
  }
}

/** Everything that anybody can read, after the last command. */
export async function compareAll(model: StoreModel, world: World): Promise<void> {
  for (const product of model.products) {
    const seen = await world.call('GET', `/api/products/${product.id}/`, product.owner)
    const status = product.owner.isDeleted ? 401 : product.state === 'DELETED' ? 404 : 200
    expect(seen.statusCode).toBe(status)
    if (status === 200) expectProduct(seen, product)
  }
  for (const order of model.orders) {
    const seen = await world.call('GET', `/api/orders/${order.id}/`, world.staff)
    expectOrder(seen, model, order)
  }
  for (const user of model.users.filter(({ isDeleted }) => !isDeleted)) {
    const bag = await world.call('GET', '/api/bag/', user)
    expectBag(bag, model, user)
    const own = model.orders.filter(({ customer }) => customer === user).map(({ id }) => id)
    const list = await world.call('GET', '/api/orders/', user)
    expect(list.json<{ id: string }[]>().map(({ id }) => id)).toEqual(own)
  }
}
