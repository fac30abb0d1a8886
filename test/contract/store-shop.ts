import type { LightMyRequestResponse } from 'fastify'

import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { OAUTH_ENV, sell, clientOf } from './store-client.ts'

export interface Order {
  id: string
  state: string
  order_line_items: { product_id: string; variant: string; quantity: number; unit_price: number }[]
  total: number
  customer_id: string
  confirm_before: string
  payment: { method: string; status: string } | null
  created: string
  updated: string
}

export interface Page<Item> {
  metadata: { page_size: number; offset_date: string | null; has_next: boolean }
  data: Item[]
}

interface Signed {
  headers: Record<string, string>
}

/** Payment details that leave an order CONFIRMED until somebody does something. */
export const HELD = { payment: { method: 'card', reference: 'pseudo-hold' } }

/** A server with the people of a sale. */
export interface Shop {
  souk: TestApp
  seller: TestUser
  customer: TestUser
  stranger: TestUser
  staff: TestUser
  get(url: string, as: Signed): Promise<LightMyRequestResponse>
  post(url: string, as: Signed, payload?: object): Promise<LightMyRequestResponse>
  /** Puts a shirt on sale, of the seller unless said otherwise, for 2.50 unless said otherwise. */
  offer(stock: Record<string, number>, options?: { price?: number; by?: TestUser }): Promise<string>
  stockOf(productId: string): Promise<Record<string, number>>
  /** An order of the customer. */
  place(...products: { id: string; variant?: string; quantity: number }[]): Promise<Order>
  /** The order when its payment has come or has failed. */
  settled(orderId: string): Promise<Order>
}

const NOBODY: Signed = { headers: {} }

export async function openShop(): Promise<Shop & { nobody: Signed }> {
  const souk = await startTestApp({ env: OAUTH_ENV })
  const [seller, customer, stranger] = [await souk.signUp(), await souk.signUp(), await souk.signUp()]
  const staff = await souk.staff()
  const get: Shop['get'] = (url, { headers }) => clientOf(souk, headers).get(url)
  const post: Shop['post'] = (url, { headers }, payload) => clientOf(souk, headers).post(url, payload)

  return {
    souk,
    seller,
    customer,
    stranger,
    staff,
    nobody: NOBODY,
    get,
    post,
    offer: (stock, { price = 250, by = seller } = {}) =>
      sell(clientOf(souk, by.headers), { title: 'Shirt', price, stock }),
    stockOf: async (productId) => {
      const response = await get(`/api/products/${productId}/`, seller)
      return response.json<{ stock: Record<string, number> }>().stock
    },
    place: async (...products) => {
      const response = await post('/api/orders/', customer, { products })
      if (response.statusCode !== 201) throw new Error(`the order was refused: ${response.body}`)
      return response.json<Order>()
    },
    settled: async (orderId) => {
      for (let tries = 0; tries < 200; tries++) {
        const order = (await get(`/api/orders/${orderId}/`, customer)).json<Order>()
        if (order.payment !== null && order.payment.status !== 'pending') return order
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      throw new Error('the payment was not settled within 10 s')
    },
  }
}
