import type { LightMyRequestResponse } from 'fastify'

import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { offerProduct, order, type OrderAnswer, type WantedUnits } from '../support/orders.ts'
import { OAUTH_ENV, clientOf } from './store-client.ts'

export type Order = OrderAnswer

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
  place(...products: WantedUnits[]): Promise<Order>
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
    offer: (stock, { price = 250, by = seller } = {}) => offerProduct(souk, by, { title: 'Shirt', price, stock }),
    stockOf: async (productId) => {
      const response = await get(`/api/products/${productId}/`, seller)
      return response.json<{ stock: Record<string, number> }>().stock
    },
    place: (...products) => order(souk, customer, ...products),
    settled: async (orderId) => {
      for (let tries = 0; tries < 200; tries++) {
        const found = (await get(`/api/orders/${orderId}/`, customer)).json<Order>()
        if (found.payment !== null && found.payment.status !== 'pending') return found
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      throw new Error('the payment was not settled within 10 s')
    },
  }
}
