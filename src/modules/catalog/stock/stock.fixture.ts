import type { Db } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import { newId } from '../../../platform/ids.ts'

interface Database {
  db: Db
}

export async function insertSeller({ db }: Database): Promise<string> {
  const id = newId()
  await db.run(sql`INSERT INTO users (id, username, password_hash) VALUES (${id}, ${id}, '')`)
  return id
}

/** A product at 1999; returns its id. */
export async function insertProduct(
  { db }: Database,
  ownerId: string,
  stock: Record<string, number>,
  state = 'AVAILABLE',
): Promise<string> {
  const id = newId()
  await db.run(sql`
    INSERT INTO products (id, owner_id, title, description, price, state, created, updated)
    VALUES (${id}, ${ownerId}, 'Shirt', 'Light', 1999, ${state}, now(), now())`)
  await db.run(sql`
    INSERT INTO stock_levels (product_id, variant, quantity)
    SELECT ${id}::uuid, * FROM unnest(${Object.keys(stock)}::text[], ${Object.values(stock)}::integer[])`)
  return id
}

export async function stockOf({ db }: Database, productId: string): Promise<Record<string, number>> {
  const rows = await db.rows<{ variant: string; quantity: number }>(sql`
    SELECT variant, quantity FROM stock_levels WHERE product_id = ${productId}`)
  return Object.fromEntries(rows.map((row) => [row.variant, row.quantity]))
}
