import type { Tx } from '../../src/platform/db/db.ts'
import { raw, sql } from '../../src/platform/db/sql.ts'

/**
 * Runs `load` with the secondary indexes, foreign keys and triggers of these tables out of the way and puts them back as they were, in the
 * same transaction: what makes filling a table of a million rows a matter of a minute.
 */
export async function withoutIndexes(tx: Tx, tables: readonly string[], load: () => Promise<void>): Promise<void> {
  const run = (statement: string): Promise<number> => tx.run(sql`${raw(statement)}`)
  const indexes = await secondaryIndexes(tx, tables)
  const keys = await foreignKeys(tx, tables)
  await run(`SET LOCAL statement_timeout = 0`)
  await run(`SET LOCAL maintenance_work_mem = '512MB'`)
  for (const table of tables) await run(`ALTER TABLE ${table} DISABLE TRIGGER USER`)
  for (const { name, table } of keys) await run(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`)
  for (const { name } of indexes) await run(`DROP INDEX ${name}`)

  await load()

  for (const { definition } of indexes) await run(definition)
  for (const { name, table, definition } of keys) await run(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`)
  for (const table of tables) await run(`ALTER TABLE ${table} ENABLE TRIGGER USER`)
}

function secondaryIndexes(tx: Tx, tables: readonly string[]): Promise<{ name: string; definition: string }[]> {
  return tx.rows(sql`
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
    WHERE i.indrelid = ANY(${tables}::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)`)
}

function foreignKeys(
  tx: Tx,
  tables: readonly string[],
): Promise<{ name: string; table: string; definition: string }[]> {
  return tx.rows(sql`
    SELECT quote_ident(conname) AS name, conrelid::regclass::text AS table, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY(${tables}::regclass[])`)
}
