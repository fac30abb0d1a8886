import type pg from 'pg'

import { arrayLiteral, type ArrayElement } from '../../src/platform/db/array-literal.ts'

export interface SentStatement {
  text: string
  values: unknown[]
}

export interface Reading {
  /** Read from end to end. */
  tables: string[]
  /** Pages of 8 KiB that were looked at, in memory or not; of a statement that writes those looked at to plan it. */
  pages: number
}

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: PlanNode[]
}

/** From the sixth time on the server may keep one plan for all values (PostgreSQL documentation, PREPARE, "Notes"). */
const PLANNINGS = 7
const WRITES = /\b(INSERT|UPDATE|DELETE|SHARE)\b/

/** Plans the statement as a connection would that has prepared it and sent it often, and runs it if it only reads. */
export async function explain(client: pg.Client, { text, values }: SentStatement): Promise<Reading> {
  const given = values.length === 0 ? '' : `(${values.map((value) => literal(client, value)).join(', ')})`
  await client.query(`PREPARE explained AS ${text}`)
  try {
    for (let n = 1; n < PLANNINGS; n++) await client.query(`EXPLAIN EXECUTE explained${given}`)
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
      `EXPLAIN (ANALYZE ${!WRITES.test(text)}, BUFFERS, FORMAT JSON) EXECUTE explained${given}`,
    )
    const plan = rows[0]!['QUERY PLAN'][0].Plan
    return { tables: seqScans(plan), pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'] }
  } finally {
    await client.query('DEALLOCATE explained')
  }
}

function seqScans(node: PlanNode): string[] {
  const below = (node.Plans ?? []).flatMap(seqScans)
  return node['Node Type'] === 'Seq Scan' ? [node['Relation Name'] ?? '', ...below] : below
}

function literal(client: pg.Client, value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  if (Buffer.isBuffer(value)) return String.raw`'\x${value.toString('hex')}'`
  if (value instanceof Date) return client.escapeLiteral(value.toISOString())
  if (Array.isArray(value)) return client.escapeLiteral(arrayLiteral(value as ArrayElement[]))
  return client.escapeLiteral(`${value as string | number | boolean}`)
}
