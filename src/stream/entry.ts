import type { RowChange } from './envelope.ts'

/** As Redis hands it out: the id, then names and values in turn; null when the entry is gone from the stream. */
export type RawEntry = [id: string, fields: string[] | null]

/** One row change of a stream. */
export interface StreamEntry {
  /** Given by Redis. */
  id: string
  /** Id of the row. */
  rowId: string
  change: RowChange
}

/** The row change in an entry; undefined when it is none. A sibling `schema` of a payload is ignored. */
export function readEntry([id, fields]: RawEntry): StreamEntry | undefined {
  const key = payloadOf(fields?.[0])
  const change = payloadOf(fields?.[1])
  if (key === undefined || change === undefined || !isRowChange(change)) return undefined
  return { id, rowId: String(key.id), change }
}

function payloadOf(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined
  try {
    const document: unknown = JSON.parse(text)
    return isObject(document) && isObject(document.payload) ? document.payload : undefined
  } catch {
    return undefined
  }
}

function isRowChange(payload: object): payload is RowChange {
  const { before, after, op } = payload as Partial<RowChange>
  return [before, after].every((image) => image === null || isObject(image)) && typeof op === 'string'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
