import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'

import { onServer } from '../../bench/support/workbench.ts'
import type { Buyer } from '../races/buyers.ts'
import type { UnderFire } from './server-under-fire.ts'

export type ShopperWay = 'orders' | 'bag'

export interface Shopper extends Buyer {
  way: ShopperWay
}

export interface WantedLine {
  productId: string
  variant: string
  quantity: number
}

/** What the server has said to its customers, for the count afterwards. */
export interface Diary {
  /** Orders answered with 201. */
  placed: { id: string; customerId: string; lines: WantedLine[] }[]
  /** Later answers of 200: the state in which the server said the order was. */
  told: { id: string; state: string }[]
  /** Orders that may have been made by a request whose answer never came, per customer. */
  unanswered: Map<string, number>
  problems: string[]
}

export interface Shop {
  server: UnderFire
  databaseUrl: string
  staff: Buyer
  /** Every variant on offer. */
  variants: readonly { productId: string; variant: string }[]
  diary: Diary
}

interface Order {
  id: string
  state: string
  confirm_before: string
}

interface Answer {
  status: number
  body: unknown
  /** Times it was sent until an answer came. */
  attempts: number
}

const PAUSE_MS = 40
/** Customers get a second to think again before their payment is attempted. */
const ATTEMPTED_AFTER_MS = 1_500
const MOST_LINES = 3
const MOST_UNITS = 2

/** Buys, confirms, cancels and forgets until told to stop. */
export async function shop(shop: Shop, shopper: Shopper, isOpen: () => boolean): Promise<void> {
  while (isOpen()) {
    const order = await place(shop, shopper)
    if (order !== undefined) await decide(shop, shopper, order)
    await wait(PAUSE_MS)
  }
}

async function place(shop: Shop, shopper: Shopper): Promise<Order | undefined> {
  const lines = someLines(shop)
  const answer = shopper.way === 'orders' ? await order(shop, shopper, lines) : await checkOut(shop, shopper, lines)
  if (answer.attempts > 1) {
    const { unanswered } = shop.diary
    unanswered.set(shopper.id, (unanswered.get(shopper.id) ?? 0) + answer.attempts - 1)
  }
  if (answer.status === 201) {
    const made = answer.body as Order
    shop.diary.placed.push({ id: made.id, customerId: shopper.id, lines })
    return made
  }
  const { error } = answer.body as { error: string }
  const isSpent = shopper.way === 'bag' && answer.attempts > 1
  if (answer.status !== 400 || !(error.endsWith(' is less than desired amount') || isSpent))
    shop.diary.problems.push(`an order was answered with ${answer.status}: ${JSON.stringify(answer.body)}`)
  return undefined
}

function order(shop: Shop, shopper: Shopper, lines: readonly WantedLine[]): Promise<Answer> {
  const products = lines.map(({ productId, variant, quantity }) => ({ id: productId, variant, quantity }))
  return ask(shop, shopper, 'POST', '/api/orders/', { products })
}

async function checkOut(shop: Shop, shopper: Shopper, lines: readonly WantedLine[]): Promise<Answer> {
  const items = lines.map(({ productId, variant, quantity }) => ({ product_id: productId, variant, quantity }))
  const bag = await ask(shop, shopper, 'PUT', '/api/bag/', { items })
  return bag.status === 200 ? ask(shop, shopper, 'POST', '/api/bag/checkout/') : bag
}

type Fate = (shop: Shop, shopper: Shopper, order: Order) => Promise<void>

const fates: readonly { share: number; fate: Fate }[] = [
  { share: 5, fate: async (shop, shopper, order) => sell(shop, shopper, order) },
  { share: 3, fate: (shop, shopper, order) => confirm(shop, shopper, order, 'pseudo-decline-me') },
  { share: 2, fate: async (shop, shopper, order) => hold(shop, shopper, order) },
  { share: 2, fate: (shop, shopper, order) => step(shop, shopper, `/api/orders/${order.id}/cancel/`) },
  { share: 2, fate: async () => undefined },
  { share: 1, fate: async (shop, shopper, order) => confirmTooLate(shop, shopper, order) },
  { share: 2, fate: async (shop, shopper, order) => confirmAndCancel(shop, shopper, order) },
]

function decide(shop: Shop, shopper: Shopper, order: Order): Promise<void> {
  const all = fates.flatMap(({ share, fate }) => Array.from({ length: share }, () => fate))
  return oneOf(all)(shop, shopper, order)
}

function confirm(shop: Shop, shopper: Shopper, { id }: Order, reference: string): Promise<void> {
  return step(shop, shopper, `/api/orders/${id}/confirm/`, { payment: { method: 'card', reference } })
}

async function sell(shop: Shop, shopper: Shopper, order: Order): Promise<void> {
  await confirm(shop, shopper, order, 'on the house')
  await wait(PAUSE_MS)
  await step(shop, shop.staff, `/api/orders/${order.id}/ship/`)
}

async function hold(shop: Shop, shopper: Shopper, order: Order): Promise<void> {
  await confirm(shop, shopper, order, 'pseudo-hold')
  await wait(ATTEMPTED_AFTER_MS)
  const isAccepted = Math.random() < 0.5
  if (isAccepted) await step(shop, shop.staff, `/api/orders/${order.id}/accept/`)
  else await step(shop, shopper, `/api/orders/${order.id}/cancel/`)
}

async function confirmTooLate(shop: Shop, shopper: Shopper, order: Order): Promise<void> {
  await wait(Math.max(0, Date.parse(order.confirm_before) - Date.now()))
  const payment = { method: 'card', reference: 'too late' }
  const answer = await ask(shop, shopper, 'POST', `/api/orders/${order.id}/confirm/`, { payment })
  if (answer.status !== 400) shop.diary.problems.push(`a confirm that came too late was answered with ${answer.status}`)
  else shop.diary.told.push({ id: order.id, state: 'NOT_CONFIRMED' })
}

/** Both at once: whatever happens first, the units come back once. */
async function confirmAndCancel(shop: Shop, shopper: Shopper, order: Order): Promise<void> {
  await Promise.all([
    confirm(shop, shopper, order, 'on the house'),
    step(shop, shopper, `/api/orders/${order.id}/cancel/`),
  ])
}

/** A change of state: done, or refused because another came first. */
async function step(shop: Shop, buyer: Buyer, path: string, body?: unknown): Promise<void> {
  const answer = await ask(shop, buyer, 'POST', path, body)
  if (answer.status === 200) {
    const { id, state } = answer.body as Order
    shop.diary.told.push({ id, state })
  } else if (answer.status !== 400)
    shop.diary.problems.push(`${path} was answered with ${answer.status}: ${JSON.stringify(answer.body)}`)
}

/** Sends a request under a key of its own, again under the same key when the server dies over it. */
export async function ask(
  shop: Pick<Shop, 'server' | 'databaseUrl'>,
  buyer: Buyer,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const key = randomUUID()
  const headers = {
    ...buyer.headers,
    'idempotency-key': key,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  let attempts = 0
  for (;;) {
    const response = await shop.server.request(path, () => {
      attempts += 1
      return { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    })
    if (response.status !== 409) return { status: response.status, body: await response.json(), attempts }
    // The process that held the key is dead; the minute after which others may take it is not waited for.
    await onServer(
      shop.databaseUrl,
      'UPDATE idempotency_keys SET lease_until = now() WHERE key = $1 AND status IS NULL',
      [key],
    )
  }
}

function someLines({ variants }: Shop): WantedLine[] {
  const places = variants.map((variant) => ({ variant, place: Math.random() }))
  const chosen = places.toSorted((a, b) => a.place - b.place).slice(0, 1 + Math.floor(Math.random() * MOST_LINES))
  return chosen.map(({ variant }) => ({ ...variant, quantity: 1 + Math.floor(Math.random() * MOST_UNITS) }))
}

function oneOf<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)]!
}
