import type { Redis } from 'ioredis'

/** What a consumer sees of one entry. */
export interface SeenEntry {
  stream: string
  entryId: string
  key: { payload: { id: string } }
  payload: {
    before: Record<string, unknown> | null
    after: Record<string, unknown> | null
    op: string
    source: Record<string, unknown>
    ts_ms: number
    transaction: null
  }
  /** The envelope as it came. */
  text: string
}

export interface StreamConsumer {
  /** Everything acknowledged so far, in order, repeats included. */
  seen: SeenEntry[]
  stop(): Promise<void>
}

const TABLES = [
  'products',
  'stock_levels',
  'tags',
  'product_tags',
  'orders',
  'order_lines',
  'bags',
  'bag_items',
  'follows',
]

/** Consumes all streams as the contract describes it, and knows nothing else: group from id 0, own pending entries, then new ones. */
export function consume(redis: Redis, prefix = 'souk'): StreamConsumer {
  const streams = TABLES.map((table) => `${prefix}.public.${table}`)
  const seen: SeenEntry[] = []
  let isStopped = false

  async function createGroups(): Promise<void> {
    for (const stream of streams) {
      await redis.xgroup('CREATE', stream, 'watchers', '0', 'MKSTREAM').catch((error: Error) => {
        if (!error.message.startsWith('BUSYGROUP')) throw error
      })
    }
  }

  async function round(id: '0' | '>'): Promise<void> {
    const where = [...streams, ...streams.map(() => id)]
    const reply = await redis.xreadgroup('GROUP', 'watchers', 'one', 'COUNT', 200, 'BLOCK', 50, 'STREAMS', ...where)
    for (const [stream, entries] of (reply ?? []) as [string, [string, string[] | null][]][]) {
      for (const [entryId, fields] of entries) {
        if (fields !== null) seen.push(parse(stream, entryId, fields))
        await redis.xack(stream, 'watchers', entryId)
      }
    }
  }

  async function run(): Promise<void> {
    while (!isStopped) {
      try {
        await round('0')
        await round('>')
      } catch {
        await createGroups().catch(() => undefined)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }

  const running = run()
  return {
    seen,
    stop: async () => {
      isStopped = true
      await running
      redis.disconnect()
    },
  }
}

function parse(stream: string, entryId: string, fields: string[]): SeenEntry {
  if (fields.length !== 2) throw new Error(`entry ${entryId} has ${fields.length / 2} fields`)
  const [key, text] = fields as [string, string]
  const envelope = JSON.parse(text) as { payload: SeenEntry['payload'] }
  return { stream, entryId, key: JSON.parse(key) as SeenEntry['key'], payload: envelope.payload, text }
}
