import { Redis } from 'ioredis'

import { onServer } from '../../bench/support/workbench.ts'

const STATES = ['PENDING_CONFIRMATION', 'CONFIRMED', 'ACCEPTED', 'SHIPPED', 'NOT_CONFIRMED', 'CANCELLED']
const CATCH_UP_MS = 15_000

type Envelope = { payload: { before: object | null; after: { state: string } | null; op: string } }

/** The stream of orders tells of every order, its states in order, and ends with the state it is in; entries may come twice. */
export async function entryProblems(databaseUrl: string, redisUrl: string): Promise<string[]> {
  const stored = await onServer<{ id: string; state: string }>(databaseUrl, 'SELECT id, state FROM orders')
  const redis = new Redis(redisUrl)
  try {
    const until = Date.now() + CATCH_UP_MS
    for (;;) {
      const problems = compare(stored, await readStates(redis))
      if (problems.length === 0 || Date.now() > until) return problems
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  } finally {
    redis.disconnect()
  }
}

/** States by order id, as they came. */
async function readStates(redis: Redis): Promise<Map<string, string[]>> {
  const states = new Map<string, string[]>()
  for (const [, fields] of await redis.xrange('souk.public.orders', '-', '+')) {
    const key = JSON.parse(fields[0]!) as { payload: { id: string } }
    const { payload } = JSON.parse(fields[1]!) as Envelope
    const { id } = key.payload
    states.set(id, [...(states.get(id) ?? []), payload.after?.state ?? 'gone'])
  }
  return states
}

function compare(stored: readonly { id: string; state: string }[], streamed: Map<string, string[]>): string[] {
  const known = new Set(stored.map(({ id }) => id))
  const invented = [...streamed.keys()].filter((id) => !known.has(id))
  return [
    ...invented.map((id) => `order ${id} is on the stream and not in the table`),
    ...stored.flatMap(({ id, state }) => {
      const seen = streamed.get(id) ?? []
      const first = [...new Set(seen)]
      const isInOrder = first.every((name, n) => n === 0 || STATES.indexOf(name) > STATES.indexOf(first[n - 1]!))
      if (first[0] === STATES[0] && isInOrder && seen.at(-1) === state) return []
      return [`order ${id} is ${state} and was streamed as ${seen.join(', ') || 'nothing'}`]
    }),
  ]
}
