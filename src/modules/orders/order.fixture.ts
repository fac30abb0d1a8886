import type { InjectOptions, LightMyRequestResponse } from 'fastify'

import type { Clock } from '../../platform/clock.ts'
import type { Queryable } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'

interface Server {
  inject(request: InjectOptions): Promise<LightMyRequestResponse>
}

interface User {
  headers: { authorization: string }
}

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

/** The clock of the machine, put forward by hand. */
export function movableClock(): Clock & { forward(seconds: number): void } {
  let aheadMs = 0
  return {
    now: () => new Date(Date.now() + aheadMs),
    forward: (seconds) => {
      aheadMs += seconds * 1_000
    },
  }
}

export async function offerProduct(
  souk: Server,
  seller: User,
  {
    title = 'Linen shirt',
    price = 100,
    stock = { default: 5 },
  }: Partial<{ title: string; price: number; stock: Record<string, number> }> = {},
): Promise<string> {
  const payload = { title, description: 'A light shirt.', price, stock }
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
  const response = await souk.inject({
    method: 'POST',
    url: '/api/orders/',
    headers: customer.headers,
    payload: { products },
  })
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
export async function eventually(isSo: () => Promise<boolean>, ms = 10_000): Promise<void> {
  const until = Date.now() + ms
  while (!(await isSo())) {
    if (Date.now() > until) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
