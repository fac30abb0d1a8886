import { pino } from 'pino'
import { Type } from 'typebox'

import type { Workbench } from '../../bench/support/workbench.ts'
import { latency } from '../../bench/support/stats.ts'
import { createChangeLog, defineTopic, recordChange, type Change } from '../../src/changes/index.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { loadConfig } from '../../src/platform/config.ts'
import { createDb, type Db, type Tx } from '../../src/platform/db/db.ts'
import type { Outcome } from './journey.ts'

const PER_SECOND = 200
/** Nobody waits for the open transaction, so a change is readable as soon as without it. */
const MAX_P99_MS = 250

const noted = defineTopic({
  name: 'chaos.note.taken',
  description: 'A crash test has written.',
  subject: 'note',
  heardBy: 'nobody',
  data: Type.Object({ n: Type.Integer() }),
})

/**
 * One transaction records and stays open for `seconds` while others commit: a reader of position > cursor gets theirs at once, then, when
 * it commits at last, its own with a later position, and never skips one.
 */
export async function runHeldOpen(bench: Workbench, databaseUrl: string, seconds: number): Promise<Outcome> {
  const souk = await bench.startSouk(databaseUrl)
  await souk.stop()
  const log = pino({ level: 'silent' })
  const db = createDb({ url: databaseUrl, poolSize: 8, applicationName: 'souk chaos', log })
  const config = loadConfig({ DATABASE_URL: databaseUrl, LOG_LEVEL: 'silent' })
  const changeLog = createChangeLog({ db, config, clock: systemClock, log, topics: [noted] })
  const services = changeLog.services()
  for (const service of services) await service.start()
  const reader = createReader(db, changeLog)
  try {
    const committed = await writeAround(db, seconds)
    await reader.until(committed.size)
    return { deaths: 0, problems: problems(committed, reader.seen) }
  } finally {
    await reader.stop()
    for (const service of services.toReversed()) await service.stop()
    await db.close()
  }
}

const HELD = -1

/** Commit times by number; the held transaction is number -1. */
async function writeAround(db: Db, seconds: number): Promise<Map<number, number>> {
  const committed = new Map<number, number>()
  const held = db.transaction(async (tx) => {
    await note(tx, HELD)
    // Kept busy now and then: a transaction that only idles is ended by the server after a minute.
    for (let second = 0; second < seconds; second++) {
      await new Promise((resolve) => setTimeout(resolve, 1000))
      await tx.withClient((client) => client.query('SELECT 1'))
    }
  })
  const until = performance.now() + seconds * 1000
  for (let n = 0; performance.now() < until; n++) {
    await db.transaction((tx) => note(tx, n))
    committed.set(n, performance.now())
    await new Promise((resolve) => setTimeout(resolve, 1000 / PER_SECOND))
  }
  await held
  return committed.set(HELD, performance.now())
}

async function note(tx: Tx, n: number): Promise<void> {
  await recordChange(tx, { topic: noted, subjectId: String(n), actor: null, audience: ['staff'], data: { n } })
}

function createReader(db: Db, changeLog: ReturnType<typeof createChangeLog>) {
  const seen = new Map<number, { position: number; at: number }>()
  let cursor = 0
  let isStopped = false
  const running = (async () => {
    while (!isStopped) {
      const changes = await changeLog.read(db, { after: cursor, topics: ['chaos.*'], audience: 'all', limit: 500 })
      for (const change of changes as Change<{ n: number }>[]) {
        seen.set(change.data.n, { position: change.position, at: performance.now() })
        cursor = change.position
      }
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  })()
  return {
    seen,
    until: async (count: number) => {
      const limit = performance.now() + 10_000
      while (seen.size < count && performance.now() < limit) await new Promise((resolve) => setTimeout(resolve, 10))
    },
    stop: () => {
      isStopped = true
      return running
    },
  }
}

function problems(committed: Map<number, number>, seen: Map<number, { position: number; at: number }>): string[] {
  const skipped = [...committed.keys()].filter((n) => !seen.has(n))
  const waits = [...committed].filter(([n]) => seen.has(n)).map(([n, at]) => Math.max(0, seen.get(n)!.at - at))
  const { p99 } = latency(waits)
  const last = Math.max(...[...seen.values()].map(({ position }) => position))
  return [
    ...skipped.map((n) => `the reader skipped change ${n}`),
    ...(p99 <= MAX_P99_MS
      ? []
      : [`changes were readable only after ${Math.round(p99)} ms (p99) while one transaction was open`]),
    ...(seen.get(HELD)?.position === last ? [] : ['the held transaction did not get the last position']),
  ]
}
