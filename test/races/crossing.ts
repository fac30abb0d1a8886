import type { Buyer } from './buyers.ts'
import { json, type Answer, type Call } from './door.ts'
import { offer, type Market } from './market.ts'
import { stockProblems } from './stock-invariant.ts'

/** At the same time, each with one request under way. */
const PARALLEL = 64
/** Few enough that some are refused, so that both ways through the code cross. */
const UNITS = 100
const OPEN_ORDERS = 3

/**
 * Half of the buyers want A and B, the other half B and A, as orders and as bags, and they cancel what they ordered before. Nobody may wait
 * for another in a circle, and no unit may be lost on the way out and back.
 */
export async function crossBags(market: Market, seconds: number): Promise<{ orders: number; problems: string[] }> {
  const goods = { a: await offer(market, { default: UNITS }), b: await offer(market, { default: UNITS }) }
  const until = performance.now() + seconds * 1000
  const problems: string[] = []
  let orders = 0

  async function oneBuyer(buyer: Buyer, n: number): Promise<void> {
    const open: string[] = []
    for (let turn = 0; performance.now() < until; turn++) {
      const answer = await buyBoth(market, buyer, n % 2 === 0 ? [goods.a, goods.b] : [goods.b, goods.a], turn)
      problems.push(...unexpected(answer))
      if (answer.status === 201) {
        orders += 1
        open.push(json(answer).id)
      }
      if (open.length < OPEN_ORDERS && answer.status === 201) continue
      const id = open.shift()
      if (id === undefined) continue
      const cancelled = await market.door.send(post(buyer, `/api/orders/${id}/cancel/`))
      if (cancelled.status !== 200) problems.push(`cancel was answered with ${cancelled.status}: ${cancelled.text}`)
    }
  }

  await Promise.all(market.buyers.slice(0, PARALLEL).map(oneBuyer))
  const putIn = { [goods.a]: { default: UNITS }, [goods.b]: { default: UNITS } }
  problems.push(...(await stockProblems(market.databaseUrl, putIn)))
  if (orders === 0) problems.push('nobody could order anything')
  return { orders, problems: distinct(problems) }
}

/** By an order in one turn, by the bag in the next. */
async function buyBoth(market: Market, buyer: Buyer, ids: [string, string], turn: number): Promise<Answer> {
  if (turn % 2 === 0) {
    const products = ids.map((id) => ({ id, quantity: 1 }))
    return market.door.send({ ...post(buyer, '/api/orders/'), body: { products } })
  }
  const items = ids.map((id) => ({ product_id: id, variant: 'default', quantity: 1 }))
  const bag = await market.door.send({ method: 'PUT', path: '/api/bag/', headers: buyer.headers, body: { items } })
  return bag.status === 200 ? market.door.send(post(buyer, '/api/bag/checkout/')) : bag
}

function post(buyer: Buyer, path: string): Call {
  return { method: 'POST', path, headers: buyer.headers }
}

/** What an order may be answered with while others want the same. */
export function unexpected(answer: Answer): string[] {
  if (answer.status === 201) return []
  const isShort = answer.status === 400 && json(answer).error.endsWith(' is less than desired amount')
  return isShort ? [] : [`an order was answered with ${answer.status}: ${answer.text.slice(0, 300)}`]
}

const MOST_PROBLEMS = 10

export function distinct(problems: readonly string[]): string[] {
  return [...new Set(problems)].slice(0, MOST_PROBLEMS)
}
