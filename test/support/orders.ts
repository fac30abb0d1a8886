import type { Queryable } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import type { TestApp, TestUser } from './app.ts'
import { until } from './until.ts'

type Server = Pick<TestApp, 'inject'>
type User = Pick<TestUser, 'headers'>

export interface OrderAnswer {
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

interface ProductWishes {
  title?: string
  price?: number
  stock?: Record<string, number>
}

/** Puts a product on sale and returns its id. */
export async function offerProduct(souk: Server, seller: User, wishes: ProductWishes = {}): Promise<string> {
  const payload = { title: 'Linen shirt', description: 'A light shirt.', price: 100, stock: { default: 5 }, ...wishes }
  const response = await souk.inject({ method: 'POST', url: '/api/products/', headers: seller.headers, payload })
  if (response.statusCode !== 201) throw new Error(`the product was refused: ${response.body}`)
  return response.json<{ id: string }>().id
}

export interface WantedUnits {
  id: string
  variant?: string
  quantity: number
}

export async function order(souk: Server, customer: User, ...products: WantedUnits[]): Promise<OrderAnswer> {
  const { headers } = customer
  const response = await souk.inject({ method: 'POST', url: '/api/orders/', headers, payload: { products } })
  if (response.statusCode !== 201) throw new Error(`the order was refused: ${response.body}`)
  return response.json<OrderAnswer>()
}

export type Step = 'confirm' | 'cancel' | 'accept' | 'ship'

/** Sends a step; `confirm` with payment details that leave the order CONFIRMED until somebody does something. */
export function step(souk: Server, user: User, orderId: string, name: Step, reference = 'pseudo-hold') {
  const payload = name === 'confirm' ? { payment: { method: 'card', reference } } : undefined
  const url = `/api/orders/${orderId}/${name}/`
  return souk.inject({ method: 'POST', url, headers: user.headers, ...(payload === undefined ? {} : { payload }) })
}

export async function stateOf(souk: Server, customer: User, orderId: string): Promise<string> {
  const response = await souk.inject({ method: 'GET', url: `/api/orders/${orderId}/`, headers: customer.headers })
  return response.json<OrderAnswer>().state
}

export async function freeUnits(db: Queryable, productId: string, variant = 'default'): Promise<number | undefined> {
  const row = await db.row<{ quantity: number }>(sql`
    SELECT quantity FROM stock_levels WHERE product_id = ${productId} AND variant = ${variant}`)
  return row?.quantity
}

/** Waits for something that a worker does. */
export function eventually(isSo: () => Promise<boolean>, ms = 10_000): Promise<void> {
  return until('a worker has done it', isSo, ms)
}
