import { pino } from 'pino'
import { Type } from 'typebox'

import { createChangeLog, defineTopic, recordChange } from '../../src/changes/index.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { loadConfig } from '../../src/platform/config.ts'
import { createDb } from '../../src/platform/db/db.ts'
import { below, type Measurement, type Scenario } from '../support/scenario.ts'
import { subscribe, type Frame } from '../support/sockets.ts'
import { latency } from '../support/stats.ts'
import { openWorkbench, signIn } from '../support/workbench.ts'

const PER_SECOND = 1000
const BATCH_EVERY_MS = 5

const sent = defineTopic({
  name: 'bench.change.sent',
  description: 'A benchmark has committed a change.',
  subject: 'bench',
  heardBy: 'everybody',
  data: Type.Object({ n: Type.Integer() }),
})

/** From COMMIT's answer at the writer to the frame at a socket of another process, 1,000 transactions a second. */
export const liveScenario: Scenario = {
  name: 'live',
  async run(sizes) {
    const bench = await openWorkbench()
    const databaseUrl = await bench.createDatabase()
    const server = await bench.startSouk(databaseUrl)
    const log = pino({ level: 'silent' })
    const config = loadConfig({ DATABASE_URL: databaseUrl, LOG_LEVEL: 'silent' })
    const db = createDb({ url: databaseUrl, poolSize: 10, applicationName: 'souk bench', log })
    const writerLog = createChangeLog({ db, config, clock: systemClock, log, topics: [sent] })
    const services = writerLog.services()
    try {
      for (const service of services) await service.start()
      const committed: number[] = []
      const received: number[] = []
      const headers = await signIn(server.url)
      const socket = await subscribe(server.url, headers, ['bench.*'], (raw) => {
        const frame = JSON.parse(raw.toString()) as Frame
        if (frame.topic === sent.name) received[frame.data!.n as number] = performance.now()
      })
      const write = async (n: number): Promise<void> => {
        await db.transaction(async (tx) => {
          await recordChange(tx, { topic: sent, subjectId: String(n), actor: null, audience: ['public'], data: { n } })
        })
        committed[n] = performance.now()
      }
      const seconds = sizes.isSmoke ? 1 : 20
      await openLoop(seconds, write)
      await new Promise((resolve) => setTimeout(resolve, 1000))
      socket.close()
      return lines(committed, received)
    } finally {
      for (const service of services.toReversed()) await service.stop()
      await db.close()
      await server.stop()
      await bench.close()
    }
  },
}

/** Starts writes on schedule, whether or not earlier ones have finished. */
async function openLoop(seconds: number, write: (n: number) => Promise<void>): Promise<void> {
  const started = performance.now()
  const pending: Promise<void>[] = []
  let n = 0
  while (performance.now() - started < seconds * 1000) {
    const due = Math.floor(((performance.now() - started) / 1000) * PER_SECOND)
    while (n < due) pending.push(write(n++))
    await new Promise((resolve) => setTimeout(resolve, BATCH_EVERY_MS))
  }
  await Promise.all(pending)
}

function lines(committed: number[], received: number[]): Measurement[] {
  const missing = committed.filter((_, n) => received[n] === undefined).length
  if (missing > 0) throw new Error(`${missing} of ${committed.length} committed changes never arrived`)
  // A frame may arrive before the writer has read its own COMMIT; that is no negative latency.
  const times = committed.map((at, n) => Math.max(0, received[n]! - at))
  const { p50, p99 } = latency(times)
  return [
    below(`commit to socket at ${PER_SECOND}/s, p50`, 'ms', p50, 10),
    below(`commit to socket at ${PER_SECOND}/s, p99`, 'ms', p99, 50),
  ]
}
