import { onServer } from '../../bench/support/workbench.ts'
import type { Buyer } from '../races/buyers.ts'
import { stockProblems, type PutIn } from '../races/stock-invariant.ts'
import { entryProblems } from './verify-stream.ts'
import type { UnderFire } from './server-under-fire.ts'
import type { Diary, Shopper } from './shoppers.ts'
import { count, densityProblems, isSequenced, leftoverProblems, WAITING } from './verify.ts'

export interface StoreEvidence {
  databaseUrl: string
  server: UnderFire
  shoppers: readonly Shopper[]
  seller: Buyer
  diary: Diary
  putIn: PutIn
  /** Absent where no Redis is installed. */
  redisUrl: string | undefined
  mail: { received: readonly { messageId: string }[] }
  until: (what: string, condition: () => Promise<boolean>, server: UnderFire) => Promise<void>
}

/** Waits for rest, then compares what the customers heard with what is stored, what the log says, what was mailed and what was streamed. */
export async function storeProblems(evidence: StoreEvidence): Promise<string[]> {
  await waitForRest(evidence)
  const { databaseUrl, putIn, redisUrl, diary } = evidence
  const problems = await Promise.all([
    stockProblems(databaseUrl, putIn),
    ruleProblems(databaseUrl),
    promiseProblems(evidence),
    repetitionProblems(evidence),
    historyProblems(databaseUrl),
    outsideProblems(evidence),
    mailProblems(evidence),
    densityProblems(databaseUrl),
    leftoverProblems(evidence),
    redisUrl === undefined ? Promise.resolve([]) : entryProblems(databaseUrl, redisUrl),
  ])
  return [...diary.problems, ...problems.flat()]
}

const DUE = `SELECT count(*) FROM orders WHERE state = 'PENDING_CONFIRMATION'`
const UNSETTLED = `SELECT count(*) FROM payments WHERE status IN ('pending', 'refunding')`

export async function waitForRest({ databaseUrl, server, until }: StoreEvidence): Promise<void> {
  const none = async (text: string): Promise<boolean> => (await count(databaseUrl, text)) === 0
  await until('every order was confirmed or has expired', () => none(DUE), server)
  await until('every payment is settled', () => none(UNSETTLED), server)
  await until('every recorded change has its place', () => isSequenced(databaseUrl), server)
  const due = await count(databaseUrl, MAILS_DUE)
  await until(
    `${due} mails have left`,
    async () => (await count(databaseUrl, SENT)) >= due && (await none(WAITING)),
    server,
  )
  await until('the log has come to rest', () => isSequenced(databaseUrl), server)
}

/** What must be true of any order, whoever made it. Each statement finds the exceptions. */
const RULES: Record<string, string> = {
  'an order without lines': `SELECT id FROM orders o WHERE NOT EXISTS (SELECT FROM order_lines WHERE order_id = o.id)`,
  'an order whose total is not the sum of its lines': `SELECT o.id FROM orders o JOIN order_lines l ON l.order_id = o.id
    GROUP BY o.id HAVING o.total <> sum(l.quantity * l.unit_price)`,
  'a confirmed order without payment': `SELECT id FROM orders o WHERE state IN ('CONFIRMED', 'ACCEPTED', 'SHIPPED')
    AND NOT EXISTS (SELECT FROM payments WHERE order_id = o.id)`,
  'a payment without its order': `SELECT p.id FROM payments p LEFT JOIN orders o ON o.id = p.order_id WHERE o.id IS NULL`,
  'a payment that does not go with its order': `SELECT p.id FROM payments p JOIN orders o ON o.id = p.order_id
    WHERE NOT (o.state IN ('ACCEPTED', 'SHIPPED') AND p.status = 'accepted'
            OR o.state = 'CONFIRMED' AND p.status = 'held'
            OR o.state = 'CANCELLED' AND p.status IN ('declined', 'cancelled', 'refunded'))`,
  'a declined payment that is not of a card to decline': `SELECT id FROM payments
    WHERE status = 'declined' AND reference NOT LIKE 'pseudo-decline%'`,
}

async function ruleProblems(databaseUrl: string): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(RULES).map(async ([rule, text]) => {
      const rows = await onServer<{ id: string }>(databaseUrl, text)
      return rows.map(({ id }) => `there is ${rule}: ${id}`)
    }),
  )
  return found.flat()
}

interface StoredOrder {
  id: string
  customer_id: string
  state: string
  lines: { productId: string; variant: string; quantity: number }[]
}

const ORDERS = `
  SELECT o.id, o.customer_id, o.state, (
    SELECT json_agg(json_build_object('productId', product_id, 'variant', variant, 'quantity', quantity) ORDER BY place)
      FROM order_lines WHERE order_id = o.id) AS lines
    FROM orders o`

/** States that an order may be in after a customer was told of one. */
const LATER: Record<string, readonly string[]> = {
  CONFIRMED: ['CONFIRMED', 'ACCEPTED', 'SHIPPED', 'CANCELLED'],
  ACCEPTED: ['ACCEPTED', 'SHIPPED'],
  SHIPPED: ['SHIPPED'],
  CANCELLED: ['CANCELLED'],
  NOT_CONFIRMED: ['NOT_CONFIRMED'],
}

/** What a customer was told is so: the order with its lines, and every step that was answered with 200. */
async function promiseProblems({ databaseUrl, diary }: StoreEvidence): Promise<string[]> {
  const stored = new Map((await onServer<StoredOrder & Row>(databaseUrl, ORDERS)).map((order) => [order.id, order]))
  const lost = diary.placed.flatMap(({ id, customerId, lines }) => {
    const order = stored.get(id)
    if (order === undefined) return [`lost: order ${id} was acknowledged and is not stored`]
    const isSame = order.customer_id === customerId && JSON.stringify(order.lines) === JSON.stringify(lines)
    return isSame ? [] : [`order ${id} is not what was ordered`]
  })
  const broken = diary.told.flatMap(({ id, state }) => {
    const now = stored.get(id)?.state ?? 'gone'
    return LATER[state]?.includes(now) === true ? [] : [`order ${id} was said to be ${state} and is ${now}`]
  })
  const twice = diary.placed.length - new Set(diary.placed.map(({ id }) => id)).size
  return [...lost, ...broken, ...(twice === 0 ? [] : [`${twice} orders were promised twice`])]
}

type Row = Record<string, unknown>

/**
 * Orders that nobody was told of come from requests over which the server died, one at most from each sending; a bag that was checked out
 * became one order.
 */
async function repetitionProblems({ databaseUrl, diary, shoppers }: StoreEvidence): Promise<string[]> {
  const rows = await onServer<{ customer_id: string; orders: string; bags: string }>(
    databaseUrl,
    `SELECT u.id AS customer_id, (SELECT count(*) FROM orders WHERE customer_id = u.id) AS orders,
            (SELECT count(*) FROM bags WHERE owner_id = u.id AND state = 'CHECKED_OUT') AS bags
       FROM users u WHERE u.id = ANY($1)`,
    [shoppers.map(({ id }) => id)],
  )
  return shoppers.flatMap((shopper) => {
    const row = rows.find((candidate) => candidate.customer_id === shopper.id)!
    const told = diary.placed.filter(({ customerId }) => customerId === shopper.id).length
    const untold = Number(row.orders) - told
    const most = diary.unanswered.get(shopper.id) ?? 0
    const bags = shopper.way === 'bag' ? Number(row.orders) : 0
    return [
      ...(untold <= most ? [] : [`${untold} orders that nobody was told of came from ${most} unanswered requests`]),
      ...(Number(row.bags) === bags ? [] : [`${row.bags} bags were checked out and became ${bags} orders`]),
    ]
  })
}

/** What the log may say of an order that is now in this state. */
const HISTORIES: Record<string, readonly string[]> = {
  PENDING_CONFIRMATION: ['placed'],
  NOT_CONFIRMED: ['placed expired'],
  CONFIRMED: ['placed confirmed'],
  ACCEPTED: ['placed confirmed accepted'],
  SHIPPED: ['placed confirmed accepted shipped'],
  CANCELLED: ['placed cancelled', 'placed confirmed cancelled'],
}

/** The log tells the story of each order, each step once and in order, to the customer and to the seller. */
async function historyProblems(databaseUrl: string): Promise<string[]> {
  const rows = await onServer<{ id: string; state: string; order: string | null; sale: string | null }>(
    databaseUrl,
    `SELECT o.id, o.state,
            string_agg(split_part(c.topic, '.', 3), ' ' ORDER BY c.position) FILTER (WHERE c.topic LIKE 'orders.order.%') AS order,
            string_agg(split_part(c.topic, '.', 3), ' ' ORDER BY c.position) FILTER (WHERE c.topic LIKE 'orders.sale.%') AS sale
       FROM orders o LEFT JOIN changes c ON c.key = 'order:' || o.id
      GROUP BY o.id, o.state`,
  )
  return rows.flatMap(({ id, state, order, sale }) => [
    ...(HISTORIES[state]?.includes(order ?? '') === true ? [] : [`order ${id} is ${state} after "${order}"`]),
    ...(sale === order ? [] : [`the seller of order ${id} heard "${sale}", its customer "${order}"`]),
  ])
}

/** The API shows what the tables hold. */
async function outsideProblems({ databaseUrl, server, shoppers, putIn, seller }: StoreEvidence): Promise<string[]> {
  const get = async <T>(buyer: Buyer, path: string): Promise<T> =>
    (await (await server.request(path, () => ({ headers: buyer.headers }))).json()) as T
  const stored = await onServer<{ id: string; customer_id: string; state: string }>(
    databaseUrl,
    'SELECT id, customer_id, state FROM orders',
  )
  const lists = await Promise.all(
    shoppers.map(async (shopper) => {
      const seen = await get<{ id: string; state: string }[]>(shopper, '/api/orders/')
      const own = stored.filter((order) => order.customer_id === shopper.id)
      return sameOrders(seen, own) ? [] : [`a customer does not see the ${own.length} orders as they are`]
    }),
  )
  const levels = await onServer<{ product_id: string; variant: string; quantity: number }>(
    databaseUrl,
    'SELECT product_id, variant, quantity FROM stock_levels',
  )
  const products = await Promise.all(
    Object.keys(putIn).map(async (id) => {
      const { stock } = await get<{ stock: Record<string, number> }>(seller, `/api/products/${id}/`)
      const isSame = levels.filter((row) => row.product_id === id).every((row) => stock[row.variant] === row.quantity)
      return isSame ? [] : [`product ${id} does not show the stock that it has`]
    }),
  )
  return [...lists, ...products].flat()
}

function sameOrders(left: readonly { id: string; state: string }[], right: readonly { id: string; state: string }[]) {
  const text = (orders: readonly { id: string; state: string }[]): string =>
    orders
      .map(({ id, state }) => `${id} ${state}`)
      .toSorted((a, b) => (a < b ? -1 : 1))
      .join()
  return text(left) === text(right)
}

/** To the customer and to the one seller of each order that was accepted or cancelled. */
const MAILS_DUE = `SELECT 2 * count(*) AS count FROM orders WHERE state IN ('ACCEPTED', 'SHIPPED', 'CANCELLED')`
const SENT = `SELECT (SELECT count(*) FROM deliveries_succeeded) + (SELECT count(*) FROM deliveries_failed) AS count`

/** Every mail that was due arrived, the same Message-ID at most once more per crash. */
async function mailProblems({ databaseUrl, mail, server }: StoreEvidence): Promise<string[]> {
  const due = await count(databaseUrl, MAILS_DUE)
  const times = new Map<string, number>()
  for (const { messageId } of mail.received) times.set(messageId, (times.get(messageId) ?? 0) + 1)
  const repeated = [...times].filter(([, n]) => n > 1 + server.deaths)
  return [
    ...(times.size === due ? [] : [`${due} mails were due, ${times.size} different ones arrived`]),
    ...repeated.map(([id, n]) => `mail ${id} arrived ${n} times after ${server.deaths} deaths`),
  ]
}
