import { sql } from '../../src/platform/db/sql.ts'
import type { Db } from '../../src/platform/db/db.ts'
import type { SeededStore } from '../../bench/support/store-seed.ts'

/** As many orders, bags, follows and tags as a store of some size has, spread over its users; with what `ANALYZE` finds out about them. */
export async function insertTrade(db: Db, { sellers }: SeededStore, count: number): Promise<void> {
  const users = sellers.map((seller) => seller.id)
  await db.transaction(async (tx) => {
    await tx.run(sql`
      WITH placed AS (
        INSERT INTO orders (id, customer_id, state, total, confirm_before, created, updated)
        SELECT gen_random_uuid(), (${users}::uuid[])[1 + n % ${users.length}::integer], 'SHIPPED', 100, time, time, time
        FROM generate_series(1, ${count}::integer) n, LATERAL (SELECT now() - n * interval '1 minute' AS time) t
        RETURNING id, created
      ), numbered AS (
        SELECT id, created, row_number() OVER () AS n FROM placed
      ), offered AS (
        SELECT product_id, variant, p.owner_id, row_number() OVER () AS n FROM stock_levels JOIN products p ON p.id = product_id
      ), lines AS (
        INSERT INTO order_lines (id, order_id, product_id, variant, quantity, unit_price, seller_id, title, place)
        SELECT gen_random_uuid(), o.id, product_id, variant, 1, 100, owner_id, 'Shirt', 1 FROM numbered o JOIN offered USING (n)
      ), sold AS (
        INSERT INTO sales (order_id, seller_id, created, subtotal) SELECT o.id, owner_id, o.created, 100 FROM numbered o JOIN offered USING (n)
      )
      INSERT INTO payments (id, order_id, method, amount, status, due_at)
      SELECT gen_random_uuid(), id, 'card', 100, 'accepted', created FROM numbered`)
    await tx.run(sql`
      WITH opened AS (
        INSERT INTO bags (id, owner_id, state, created, updated)
        SELECT gen_random_uuid(), id, 'OPEN', now(), now() FROM unnest(${users}::uuid[]) AS u (id) RETURNING id
      ), offered AS (
        SELECT product_id, variant, row_number() OVER () % ${users.length}::integer AS bag FROM stock_levels
        WHERE quantity > 0 LIMIT ${count}
      ), numbered AS (
        SELECT id, row_number() OVER () - 1 AS bag FROM opened
      )
      INSERT INTO bag_items (id, bag_id, product_id, variant, quantity, place, created)
      SELECT gen_random_uuid(), id, product_id, variant, 1, row_number() OVER (), now() FROM numbered JOIN offered USING (bag)`)
    await tx.run(sql`
      INSERT INTO follows (id, follower_id, followed_id, followed_at)
      SELECT gen_random_uuid(), follower, followed, now() - (row_number() OVER ()) * interval '1 ms'
      FROM unnest(${users}::uuid[]) AS a (follower), unnest(${users.slice(0, 20)}::uuid[]) AS b (followed)
      WHERE follower <> followed`)
    await tx.run(sql`
      INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
      SELECT gen_random_uuid(), name, name, name, name, now() + n * interval '1 ms', now()
      FROM generate_series(1, ${count / 4}::integer) n, LATERAL (SELECT md5(n::text) AS name) named`)
  })
  await db.run(sql`ANALYZE`)
}
