import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { HELD, openShop, type Order } from './store-shop.ts'

let shop: Awaited<ReturnType<typeof openShop>>
beforeAll(async () => {
  shop = await openShop()
})
afterAll(() => shop.souk.close())

describe('confirming', () => {
  it('makes the payment pending and shows only its method and outcome', async () => {
    const order = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })

    const response = await shop.post(`/api/orders/${order.id}/confirm/`, shop.customer, HELD)

    const confirmed = response.json<Order>()
    expect(response.statusCode).toBe(200)
    expect(confirmed).toEqual({
      ...order,
      state: 'CONFIRMED',
      payment: { method: 'card', status: 'pending' },
      updated: confirmed.updated,
    })
    expect(confirmed.updated > order.updated).toBe(true)
  })

  it.each([
    ['without a body', undefined],
    ['with other details', { payment: { method: 'bank_transfer' } }],
    ['with bad ones', { payment: 7 }],
  ])('changes nothing the second time, %s', async (_how, payload) => {
    const { id } = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })
    const first = await shop.post(`/api/orders/${id}/confirm/`, shop.customer, HELD)

    const second = await shop.post(`/api/orders/${id}/confirm/`, shop.customer, payload)

    expect(second.statusCode).toBe(200)
    expect(second.json()).toEqual(first.json())
  })

  it.each([
    ['no body', undefined, 'payment'],
    ['no payment', {}, 'payment'],
    ['null', { payment: null }, 'payment'],
    ['text', { payment: 'card' }, 'payment'],
    ['no method', { payment: {} }, 'payment.method'],
    ['an unknown method', { payment: { method: 'shells' } }, 'payment.method'],
    ['a number as method', { payment: { method: 1 } }, 'payment.method'],
    ['a number as reference', { payment: { method: 'card', reference: 1 } }, 'payment.reference'],
    ['a long reference', { payment: { method: 'card', reference: 'x'.repeat(65) } }, 'payment.reference'],
    ['a card number', { payment: { method: 'card', reference: '4111111111111111' } }, 'payment.reference'],
    [
      'a card number in groups',
      { payment: { method: 'card', reference: 'no 4111 1111-1111 1111' } },
      'payment.reference',
    ],
    ['13 digits', { payment: { method: 'bank_transfer', reference: '1234567890123' } }, 'payment.reference'],
    ['19 digits', { payment: { method: 'bank_transfer', reference: '1234567890123456789' } }, 'payment.reference'],
  ])('refuses %s, and the order stays pending', async (_what, payload, field) => {
    const { id } = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })

    const response = await shop.post(`/api/orders/${id}/confirm/`, shop.customer, payload)

    expect(response.statusCode).toBe(400)
    expect(response.json<{ errors: object }>().errors).toHaveProperty([field])
    expect(response.body).not.toMatch(/4111|shells/)
    expect((await shop.get(`/api/orders/${id}/`, shop.customer)).json()).toMatchObject({
      state: 'PENDING_CONFIRMATION',
    })
  })

  it.each([
    ['card', 'invoice 123456789012'],
    ['bank_transfer', '12345678901234567890'],
    ['cash_on_delivery', ''],
    ['card', 'x'.repeat(64)],
  ])('takes %s with the reference %j', async (method, reference) => {
    const { id } = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })

    const response = await shop.post(`/api/orders/${id}/confirm/`, shop.customer, { payment: { method, reference } })

    expect(response.json()).toMatchObject({ state: 'CONFIRMED', payment: { method, status: 'pending' } })
  })

  it('gives identical answers to confirms at the same moment, and makes one payment', async () => {
    const { id } = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })

    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        shop.post(`/api/orders/${id}/confirm/`, shop.customer, { payment: { method: 'card' } }),
      ),
    )

    expect(answers.map((answer) => answer.statusCode)).toEqual(Array(8).fill(200))
    expect(new Set(answers.map((answer) => answer.body)).size).toBe(1)
    expect(await shop.settled(id)).toMatchObject({ state: 'ACCEPTED' })
  })
})

describe('paying', () => {
  it('accepts an order within a few seconds', async () => {
    const product = await shop.offer({ default: 3 })
    const { id } = await shop.place({ id: product, quantity: 2 })

    await shop.post(`/api/orders/${id}/confirm/`, shop.customer, {
      payment: { method: 'card', reference: 'invoice 7' },
    })

    expect(await shop.settled(id)).toMatchObject({ state: 'ACCEPTED', payment: { method: 'card', status: 'accepted' } })
    expect(await shop.stockOf(product)).toEqual({ default: 1 })
  })

  it('cancels an order whose payment is declined, and gives the units back', async () => {
    const product = await shop.offer({ default: 3 })
    const { id } = await shop.place({ id: product, quantity: 2 })
    const payment = { method: 'bank_transfer', reference: 'pseudo-decline-1' }

    await shop.post(`/api/orders/${id}/confirm/`, shop.customer, { payment })

    expect(await shop.settled(id)).toMatchObject({
      state: 'CANCELLED',
      payment: { method: 'bank_transfer', status: 'declined' },
    })
    expect(await shop.stockOf(product)).toEqual({ default: 3 })
  })

  it('leaves a held payment to staff, who accept and ship', async () => {
    const { id } = await shop.place({ id: await shop.offer({ default: 3 }), quantity: 2 })
    await shop.post(`/api/orders/${id}/confirm/`, shop.customer, HELD)

    const accepted = await shop.post(`/api/orders/${id}/accept/`, shop.staff)
    const shipped = await shop.post(`/api/orders/${id}/ship/`, shop.staff)

    expect(accepted.json()).toMatchObject({ state: 'ACCEPTED', payment: { method: 'card', status: 'accepted' } })
    expect(shipped.json()).toMatchObject({ state: 'SHIPPED', customer_id: shop.customer.userId })
  })
})

describe('cancelling', () => {
  it.each([
    ['pending', false],
    ['confirmed', true],
  ])('gives the units of a %s order back once', async (_state, isConfirmed) => {
    const product = await shop.offer({ default: 3 })
    const { id } = await shop.place({ id: product, quantity: 2 })
    if (isConfirmed) await shop.post(`/api/orders/${id}/confirm/`, shop.customer, HELD)

    const answers = await Promise.all(
      Array.from({ length: 5 }, () => shop.post(`/api/orders/${id}/cancel/`, shop.customer)),
    )

    expect(answers.map((answer) => String(answer.statusCode)).toSorted()).toEqual(['200', '400', '400', '400', '400'])
    expect((await shop.get(`/api/orders/${id}/`, shop.customer)).json()).toMatchObject({ state: 'CANCELLED' })
    expect(await shop.stockOf(product)).toEqual({ default: 3 })
  })

  it('happens to the pending orders of a customer who is deleted, not to confirmed ones', async () => {
    const product = await shop.offer({ default: 9 })
    const user = await shop.souk.signUp()
    const payload = { products: [{ id: product, quantity: 2 }] }
    const pending = (await shop.post('/api/orders/', user, payload)).json<Order>()
    const confirmed = (await shop.post('/api/orders/', user, payload)).json<Order>()
    await shop.post(`/api/orders/${confirmed.id}/confirm/`, user, HELD)

    const url = `/api/user/${user.userId}/`
    const deleted = await shop.souk.inject({ method: 'DELETE', url, headers: user.headers })

    expect(deleted.statusCode).toBe(200)
    expect((await shop.get(`/api/orders/${pending.id}/`, shop.staff)).json()).toMatchObject({ state: 'CANCELLED' })
    expect((await shop.get(`/api/orders/${confirmed.id}/`, shop.staff)).json()).toMatchObject({ state: 'CONFIRMED' })
    expect(await shop.stockOf(product)).toEqual({ default: 7 })
  })
})
