// The bare limit of buying: node:http and pg doing the least that keeps an order, a confirmation or a line of a bag, in one durable
// transaction each, with one plain row in place of the recorded change. Usage: store.ts <database url>; prints its address.
import { randomUUID } from 'node:crypto'

import pg from 'pg'

import { readJson, serve } from './server.ts'

interface Line {
  id: string
  variant: string
  quantity: number
}

interface Order {
  customer: string
  products: Line[]
}

interface TakenLine {
  product_id: string
  variant: string
  quantity: number
  price: string
  owner_id: string
  title: string
}

const [databaseUrl] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10, options: '-c jit=off -c random_page_cost=1.1' })
const change = 'x'.repeat(300)
await pool.query(
  'CREATE TABLE IF NOT EXISTS bare_changes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data text NOT NULL)',
)

const answers: Record<string, (client: pg.PoolClient, body: never) => Promise<unknown>> = {
  '/orders': placeOrder,
  '/confirm': confirmOrder,
  '/bag-items': addToBag,
}

serve(async (request) => {
  const body = await readJson<never>(request)
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await answers[request.url!]!(client, body)
    await client.query({ name: 'change', text: 'INSERT INTO bare_changes (data) VALUES ($1)', values: [change] })
    await client.query('COMMIT')
    return JSON.stringify(result)
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
})

// Arrays behind sub-selects: seen by the planner, short ones would make it plan anew each time, which costs four times as much as the rest.
const TAKE = `
  WITH wanted AS (
    SELECT * FROM unnest((SELECT $1::uuid[]), (SELECT $2::text[]), (SELECT $3::int[])) AS w (product_id, variant, quantity)
  ), locked AS (
    SELECT s.product_id, s.variant, w.quantity, p.price, p.owner_id, p.title
    FROM wanted w JOIN stock_levels s USING (product_id, variant) JOIN products p ON p.id = s.product_id
    WHERE s.quantity >= w.quantity AND p.state = 'AVAILABLE'
    ORDER BY s.product_id, s.variant FOR UPDATE OF s
  )
  UPDATE stock_levels s SET quantity = s.quantity - l.quantity FROM locked l
  WHERE s.product_id = l.product_id AND s.variant = l.variant
  RETURNING l.*`

const INSERT = `
  WITH o AS (
    INSERT INTO orders (id, customer_id, state, total, confirm_before, created, updated)
    VALUES ($1, $2, 'PENDING_CONFIRMATION', $3, now() + interval '1 hour', now(), now())
  )
  INSERT INTO order_lines (id, order_id, product_id, variant, quantity, unit_price, seller_id, title, place)
  SELECT gen_random_uuid(), $1, product_id, variant, quantity, unit_price, seller_id, title, place
  FROM unnest($4::uuid[], $5::text[], $6::int[], $7::bigint[], $8::uuid[], $9::text[])
    WITH ORDINALITY AS l (product_id, variant, quantity, unit_price, seller_id, title, place)`

async function placeOrder(client: pg.PoolClient, { customer, products }: Order): Promise<unknown> {
  const wanted = [
    products.map((line) => line.id),
    products.map((line) => line.variant),
    products.map((l) => l.quantity),
  ]
  const { rows } = await client.query<TakenLine>({ name: 'take', text: TAKE, values: wanted })
  if (rows.length < products.length) throw new Error('too few units')
  const id = randomUUID()
  const total = rows.reduce((sum, row) => sum + Number(row.price) * row.quantity, 0)
  const column = (name: keyof TakenLine): unknown[] => rows.map((row) => row[name])
  const lines = [column('product_id'), column('variant'), column('quantity'), column('price'), column('owner_id')]
  await client.query({ name: 'insert', text: INSERT, values: [id, customer, total, ...lines, column('title')] })
  return { id, customer, total, lines: rows }
}

async function confirmOrder(client: pg.PoolClient, { id }: { id: string }): Promise<unknown> {
  const { rows } = await client.query<{ total: string }>({
    name: 'confirm',
    text: `UPDATE orders SET state = 'CONFIRMED', updated = now() WHERE id = $1 AND state = 'PENDING_CONFIRMATION' RETURNING *`,
    values: [id],
  })
  if (rows.length === 0) throw new Error('no such pending order')
  await client.query({
    name: 'pay',
    // Not due within the benchmark: Souk's worker must not settle it.
    text: `INSERT INTO payments (id, order_id, method, amount, due_at) VALUES ($1, $2, 'card', $3, now() + interval '1 hour')`,
    values: [randomUUID(), id, rows[0]!.total],
  })
  return rows[0]
}

async function addToBag(client: pg.PoolClient, { customer, ...line }: Line & { customer: string }): Promise<unknown> {
  const { rows: bags } = await client.query<{ id: string }>({
    name: 'bag',
    text: `UPDATE bags SET updated = now() WHERE owner_id = $1 AND state = 'OPEN' RETURNING id`,
    values: [customer],
  })
  await client.query({
    name: 'add',
    text: `INSERT INTO bag_items (id, bag_id, product_id, variant, quantity, place, created)
           SELECT $1, $2, $3, $4, $5, coalesce(max(place), 0) + 1, now() FROM bag_items WHERE bag_id = $2
           ON CONFLICT (bag_id, product_id, variant) DO UPDATE SET quantity = bag_items.quantity + excluded.quantity`,
    values: [randomUUID(), bags[0]!.id, line.id, line.variant, line.quantity],
  })
  const { rows } = await client.query({
    name: 'show',
    text: `SELECT i.*, p.title, p.price, s.quantity AS available FROM bag_items i
           LEFT JOIN products p ON p.id = i.product_id
           LEFT JOIN stock_levels s ON s.product_id = i.product_id AND s.variant = i.variant
           WHERE i.bag_id = $1 ORDER BY i.place`,
    values: [bags[0]!.id],
  })
  return { items: rows }
}
