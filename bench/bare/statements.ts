import { readFileSync } from 'node:fs'

import type { QueryConfig } from 'pg'

/** A statement that Souk was seen to send. */
export interface Statement {
  text: string
  values: unknown[]
}

/** What `writeStatements` of the benchmarks wrote. */
export function readStatements(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'), reviveBuffer)
}

const names = new Map<string, string>()

/** The statement as a named one, which a connection prepares once. */
export function named({ text, values }: Statement): QueryConfig {
  const name = names.get(text) ?? `s${names.size}`
  names.set(text, name)
  return { name, text, values }
}

/** Digests are bytes, which JSON writes as an object. */
function reviveBuffer(_key: string, value: unknown): unknown {
  const isBuffer = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'
  return isBuffer ? Buffer.from((value as unknown as { data: number[] }).data) : value
}
