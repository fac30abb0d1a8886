import { feedHead, feedTail } from '../../bench/support/feed.ts'
import { onServer } from '../../bench/support/workbench.ts'
import type { Buyer } from './buyers.ts'
import { distinct, unexpected } from './crossing.ts'
import { json } from './door.ts'
import { offer, type Market } from './market.ts'
import { stockProblems } from './stock-invariant.ts'

const BUYERS = 32
const UNITS = 1_000_000
const PRICES = [100, 250, 999]
const FEED_ITEMS = ['crossing-1', 'crossing-2']
const PUT_STOCK = 500

interface Goods {
  /** Only their title and price change: their units can be counted. */
  counted: [string, string]
  /** Their stock is replaced again and again. */
  replaced: [string, string]
  /** Changed by imports of a feed. */
  fed: [string, string]
}

/** Orders that cross each other while the seller replaces the products and imports a feed over them. */
export async function changeWhileOrdering(
  market: Market,
  seconds: number,
): Promise<{ orders: number; problems: string[] }> {
  const goods = await makeGoods(market)
  const until = performance.now() + seconds * 1000
  const problems: string[] = []
  let orders = 0

  async function oneBuyer(buyer: Buyer, n: number): Promise<void> {
    const pairs = [goods.counted, goods.replaced, goods.fed]
    for (let turn = 0; performance.now() < until; turn++) {
      const pair = pairs[turn % pairs.length]!
      const products = (n % 2 === 0 ? pair : pair.toReversed()).map((id) => ({ id, quantity: 1 }))
      const { headers } = buyer
      const answer = await market.door.send({ method: 'POST', path: '/api/orders/', headers, body: { products } })
      problems.push(...unexpected(answer))
      if (answer.status === 201) orders += 1
    }
  }

  async function oneSeller(change: (turn: number) => Promise<string[]>): Promise<void> {
    for (let turn = 0; performance.now() < until; turn++) problems.push(...(await change(turn)))
  }

  await Promise.all([
    ...market.buyers.slice(0, BUYERS).map(oneBuyer),
    oneSeller((turn) => patchPrice(market, goods.counted[turn % 2]!, turn)),
    oneSeller((turn) => patchPrice(market, goods.counted[(turn + 1) % 2]!, turn)),
    oneSeller((turn) => replaceProduct(market, goods.replaced[turn % 2]!, turn)),
    oneSeller((turn) => replaceProduct(market, goods.replaced[(turn + 1) % 2]!, turn)),
    oneSeller((turn) => importFeed(market, turn)),
  ])
  problems.push(...(await aftermath(market, goods)))
  if (orders === 0) problems.push('nobody could order anything')
  return { orders, problems: distinct(problems) }
}

async function makeGoods(market: Market): Promise<Goods> {
  const problems = await importFeed(market, 0)
  if (problems.length > 0) throw new Error(problems.join('; '))
  const fed = await onServer<{ id: string }>(
    market.databaseUrl,
    'SELECT id FROM products WHERE feed_id = ANY($1) AND deleted IS NULL ORDER BY feed_id',
    [FEED_ITEMS],
  )
  const make = (units: number): Promise<string> => offer(market, { default: units }, PRICES[0])
  return {
    counted: [await make(UNITS), await make(UNITS)],
    replaced: [await make(PUT_STOCK), await make(PUT_STOCK)],
    fed: [fed[0]!.id, fed[1]!.id],
  }
}

async function patchPrice(market: Market, id: string, turn: number): Promise<string[]> {
  const body = { title: `A thing, edition ${turn}`, price: PRICES[turn % PRICES.length] }
  const { headers } = market.seller
  const answer = await market.door.send({ method: 'PATCH', path: `/api/products/${id}/`, headers, body })
  return answer.status === 200 ? [] : [`PATCH was answered with ${answer.status}: ${answer.text.slice(0, 300)}`]
}

async function replaceProduct(market: Market, id: string, turn: number): Promise<string[]> {
  const price = PRICES[turn % PRICES.length]
  const body = { title: `A thing, edition ${turn}`, description: 'Anew.', price, stock: { default: PUT_STOCK } }
  const { headers } = market.seller
  const answer = await market.door.send({ method: 'PUT', path: `/api/products/${id}/`, headers, body })
  return answer.status === 200 ? [] : [`PUT was answered with ${answer.status}: ${answer.text.slice(0, 300)}`]
}

/** An import in the mode that changes products, its items now in one order and now in the other. */
async function importFeed(market: Market, turn: number): Promise<string[]> {
  const ids = turn % 2 === 0 ? FEED_ITEMS : FEED_ITEMS.toReversed()
  const form = new FormData()
  form.set('file', new Blob([feedHead, ...ids.map((id) => feedItem(id, turn)), feedTail]), 'feed.xml')
  const { headers } = market.seller
  const url = market.urls[0]!
  const started = await fetch(`${url}/api/imports/?mode=update`, { method: 'POST', headers, body: form })
  const text = await started.text()
  if (started.status !== 202) return [`an import was answered with ${started.status}: ${text}`]
  const { id } = JSON.parse(text) as { id: string }
  for (;;) {
    const seen = await market.door.send({ method: 'GET', path: `/api/imports/${id}/`, headers })
    const { state } = json(seen)
    if (state === 'succeeded') return []
    if (state === 'failed' || state === 'cancelled') return [`an import ended as ${seen.text}`]
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function feedItem(id: string, turn: number): string {
  return `<item><g:id>${id}</g:id><title>A thing, edition ${turn}</title><g:product_type>Things</g:product_type>
<link>https://shop.example/p/${id}</link><description>Fed.</description><g:image_link>https://img.example/${id}.jpg</g:image_link>
<g:price>${PRICES[turn % PRICES.length]! / 100} AED</g:price><g:availability>in stock</g:availability><g:quantity>${PUT_STOCK}</g:quantity>
<g:brand>Nike</g:brand><g:gtin>1000000000000</g:gtin><g:item_group_id>1</g:item_group_id><g:condition>new</g:condition>
<g:age_group>adult</g:age_group><g:color>Red</g:color><g:gender>unisex</g:gender></item>\n`
}

/** Units that nobody replaced add up; every line was sold at a price that was asked; what is replaced last is there. */
async function aftermath(market: Market, goods: Goods): Promise<string[]> {
  const everything = Object.values(goods).flat() as string[]
  const strange = await onServer<{ unit_price: string }>(
    market.databaseUrl,
    'SELECT DISTINCT unit_price FROM order_lines WHERE product_id = ANY($1) AND unit_price <> ALL($2)',
    [everything, PRICES],
  )
  const sums = await onServer<{ id: string }>(
    market.databaseUrl,
    `SELECT o.id FROM orders o JOIN order_lines l ON l.order_id = o.id
      WHERE o.id IN (SELECT order_id FROM order_lines WHERE product_id = ANY($1))
      GROUP BY o.id HAVING o.total <> sum(l.quantity * l.unit_price) OR count(*) <> 2`,
    [everything],
  )
  const negative = await onServer<{ product_id: string }>(
    market.databaseUrl,
    'SELECT product_id FROM stock_levels WHERE quantity < 0 OR (product_id = ANY($1) AND quantity > $2)',
    [[...goods.replaced, ...goods.fed], PUT_STOCK],
  )
  const putIn = Object.fromEntries(goods.counted.map((id) => [id, { default: UNITS }]))
  return [
    ...strange.map((row) => `a line was sold at ${row.unit_price}, which nobody asked`),
    ...sums.map((row) => `order ${row.id} is not the sum of its two lines`),
    ...negative.map((row) => `product ${row.product_id} has an impossible number of free units`),
    ...(await stockProblems(market.databaseUrl, putIn)),
  ]
}
