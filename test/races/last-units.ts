import { onServer } from '../../bench/support/workbench.ts'
import type { Buyer } from './buyers.ts'
import { json, type Answer } from './door.ts'
import { offer, type Market } from './market.ts'
import { stockProblems } from './stock-invariant.ts'

export type Way = 'orders' | 'bags'

interface Wish {
  buyer: Buyer
  quantity: number
}

interface Attempt extends Wish {
  answer: Answer
}

const UNITS = 50
const VARIANT = 'M'
/** Beside the wanted variant: nobody asks for it, so it must not move. */
const OTHER = { L: 7 }
const MOST_WANTED = 3
const BAGS_LOOKED_AT = 10

/**
 * All buyers at once want 1 to 3 of the 50 units of one variant. Exactly 50 are sold, because the ones who want a single unit get what is
 * left, and everybody hears 201 or that there are too few.
 */
export async function raceForLastUnits(market: Market, way: Way): Promise<string[]> {
  const productId = await offer(market, { [VARIANT]: UNITS, ...OTHER })
  const wishes = shuffled(market.buyers.map((buyer, n) => ({ buyer, quantity: 1 + (n % MOST_WANTED) })))
  if (way === 'bags') await fillBags(market, wishes, productId)
  const attempts = await Promise.all(
    wishes.map(async (wish) => ({ ...wish, answer: await buy(market, way, wish, productId) })),
  )
  const problems = await Promise.all([
    saleProblems(market, attempts, productId),
    stockProblems(market.databaseUrl, { [productId]: { [VARIANT]: UNITS, ...OTHER } }),
    way === 'bags' ? bagProblems(market, attempts) : Promise.resolve([]),
  ])
  return [...answerProblems(attempts, productId), ...problems.flat()]
}

async function fillBags(market: Market, wishes: readonly Wish[], productId: string): Promise<void> {
  await Promise.all(
    wishes.map(async ({ buyer, quantity }) => {
      const body = { items: [{ product_id: productId, variant: VARIANT, quantity }] }
      const answer = await market.door.send({ method: 'PUT', path: '/api/bag/', headers: buyer.headers, body })
      if (answer.status !== 200) throw new Error(`a bag was answered with ${answer.status}: ${answer.text}`)
    }),
  )
}

function buy(market: Market, way: Way, { buyer, quantity }: Wish, productId: string): Promise<Answer> {
  const { headers } = buyer
  if (way === 'bags') return market.door.send({ method: 'POST', path: '/api/bag/checkout/', headers })
  const body = { products: [{ id: productId, variant: VARIANT, quantity }] }
  return market.door.send({ method: 'POST', path: '/api/orders/', headers, body })
}

function answerProblems(attempts: readonly Attempt[], productId: string): string[] {
  const refusal = `available stock for product ${productId} is less than desired amount`
  return attempts.flatMap(({ answer }) => {
    if (answer.status === 201) return []
    if (answer.status === 400 && json(answer).error === refusal) return []
    return [`a buyer was answered with ${answer.status}: ${answer.text.slice(0, 300)}`]
  })
}

async function saleProblems(market: Market, attempts: readonly Attempt[], productId: string): Promise<string[]> {
  const winners = attempts.filter(({ answer }) => answer.status === 201)
  const promised = winners.reduce((sum, { quantity }) => sum + quantity, 0)
  const [stored] = await onServer<{ orders: string; units: string }>(
    market.databaseUrl,
    'SELECT count(DISTINCT order_id) AS orders, coalesce(sum(quantity), 0) AS units FROM order_lines WHERE product_id = $1',
    [productId],
  )
  const seen = await market.door.send({
    method: 'GET',
    path: `/api/products/${productId}/`,
    headers: market.seller.headers,
  })
  const free = json(seen).stock[VARIANT]
  return [
    ...(promised === UNITS ? [] : [`${promised} of ${UNITS} units were promised`]),
    ...(Number(stored!.units) === promised ? [] : [`${promised} units were promised, ${stored!.units} are ordered`]),
    ...(Number(stored!.orders) === winners.length
      ? []
      : [`${winners.length} buyers heard 201, ${stored!.orders} orders are stored`]),
    ...(free === UNITS - promised ? [] : [`${free} units are shown as free after ${promised} of ${UNITS}`]),
  ]
}

/** A refused checkout leaves the bag as it was; an accepted one leaves an empty one. */
async function bagProblems(market: Market, attempts: readonly Attempt[]): Promise<string[]> {
  const winners = attempts.filter(({ answer }) => answer.status === 201).slice(0, BAGS_LOOKED_AT)
  const losers = attempts.filter(({ answer }) => answer.status !== 201).slice(0, BAGS_LOOKED_AT)
  const problems = await Promise.all(
    [...winners, ...losers].map(async ({ buyer, quantity, answer }) => {
      const bag = await market.door.send({ method: 'GET', path: '/api/bag/', headers: buyer.headers })
      const held = json(bag).items.map((item) => item.quantity)
      const expected = answer.status === 201 ? [] : [quantity]
      return held.join() === expected.join()
        ? []
        : [`a bag holds [${held.join()}] and not [${expected.join()}] after ${answer.status}`]
    }),
  )
  return problems.flat()
}

function shuffled<T>(list: readonly T[]): T[] {
  const places = list.map((item) => ({ item, place: Math.random() }))
  return places.toSorted((a, b) => a.place - b.place).map(({ item }) => item)
}
