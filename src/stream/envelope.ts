import type { Clock } from '../platform/clock.ts'

/** A row change as the database hands it out; images are JSON text that nobody has parsed. */
export interface RecordedRowChange {
  position: number
  table_name: string
  op: 'c' | 'u' | 'd'
  row_id: string
  before: string | null
  after: string | null
  xid: number
  lsn: number
  recorded_ms: number
}

/** One entry of a Redis stream: its only field is the key document, the value the envelope. */
export interface Entry {
  stream: string
  key: string
  envelope: string
}

/** What an envelope carries, once parsed (store contract, section 7). */
export interface RowChange {
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  /** `r` comes from other producers only. */
  op: 'c' | 'u' | 'd' | 'r'
  source: Record<string, unknown>
  ts_ms: number
}

export interface EnvelopeOptions {
  /** The first part of the names of streams, and the name of the source. */
  prefix: string
  database: string
  version: string
  /** Columns whose values are instants. */
  instants: readonly string[]
  clock: Clock
}

const SCHEMA = 'public'

/** Returns what makes the entry of a row change, as a Debezium server with a Redis sink writes it. */
export function createEnvelopes(options: EnvelopeOptions): (change: RecordedRowChange) => Entry {
  const { prefix, clock } = options
  const source = JSON.stringify({ version: options.version, connector: 'postgresql', name: prefix }).slice(0, -1)
  const place = `"snapshot":"false","db":${JSON.stringify(options.database)},"schema":"${SCHEMA}"`
  const rewrite = instantsRewriter(options.instants)

  return (change) => {
    const table = change.table_name
    const origin = `${source},"ts_ms":${change.recorded_ms},${place},"table":${JSON.stringify(table)},"txId":${change.xid},"lsn":${change.lsn}}`
    const images = `"before":${rewrite(change.before)},"after":${rewrite(change.after)}`
    return {
      stream: `${prefix}.${SCHEMA}.${table}`,
      key: `{"payload":{"id":${JSON.stringify(change.row_id)}}}`,
      envelope: `{"payload":{${images},"source":${origin},"op":"${change.op}","ts_ms":${clock.now().getTime()},"transaction":null}}`,
    }
  }
}

/**
 * Gives instants in the JSON of a row the form that the API has (`2025-02-11T13:21:54.180000Z`). In the text, because parsing would round
 * large numbers; a quote inside a value is escaped, so that `"name":"` is found where a member begins and nowhere else.
 */
function instantsRewriter(names: readonly string[]): (image: string | null) => string {
  const pattern = new RegExp(
    `"(${names.join('|')})":"(\\d{4,}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d)(?:\\.(\\d+))?\\+00:00"`,
    'g',
  )
  return (image) => {
    if (image === null) return 'null'
    return image.replace(pattern, (_match, name: string, seconds: string, fraction = '') => {
      return `"${name}":"${seconds}.${fraction.padEnd(6, '0')}Z"`
    })
  }
}
