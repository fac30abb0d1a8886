import { once } from 'node:events'

import { pino } from 'pino'
import { Type } from 'typebox'
import { WebSocket } from 'ws'

import { defineTopic, recordChanges } from '../../src/changes/index.ts'
import { createDb, type Db } from '../../src/platform/db/db.ts'
import { startScript } from '../support/processes.ts'
import { ratioOf, type Scenario } from '../support/scenario.ts'
import { subscribe } from '../support/sockets.ts'
import { median } from '../support/stats.ts'
import { openWorkbench, signIn } from '../support/workbench.ts'

const SOCKETS = 200
/** Changes in flight: small enough that no socket's buffer of 1 MiB is ever full, large enough that the sender never idles. */
const IN_FLIGHT = 500

const sent = defineTopic({
  name: 'bench.change.fanned-out',
  description: 'A benchmark has committed a change for every socket.',
  subject: 'bench',
  heardBy: 'everybody',
  data: Type.Object({ text: Type.String() }),
})

/** Frames a second to 200 sockets, from the commit on, beside bare `ws` sending texts of the same length. */
export const fanOutScenario: Scenario = {
  name: 'fan-out',
  async run(sizes) {
    const bench = await openWorkbench()
    const databaseUrl = await bench.createDatabase()
    const server = await bench.startSouk(databaseUrl)
    const log = pino({ level: 'silent' })
    const db = createDb({ url: databaseUrl, poolSize: 2, applicationName: 'souk bench', log })
    try {
      const headers = await signIn(server.url)
      const meter = new Meter()
      const ours = await Promise.all(
        Array.from({ length: SOCKETS }, () => subscribe(server.url, headers, ['bench.*'], (raw) => meter.count(raw))),
      )
      await meter.after(() => record(db, 1), SOCKETS)
      const bare = await startScript('bench/bare/fan-out.ts', [String(meter.lastLength)])
      const theirs = await Promise.all(Array.from({ length: SOCKETS }, () => bareSocket(bare.url, meter)))
      const rates = { ours: [] as number[], theirs: [] as number[] }
      for (let round = 0; round < sizes.rounds; round++) {
        rates.ours.push(await framesPerSecond(meter, sizes.seconds, () => record(db, IN_FLIGHT)))
        rates.theirs.push(await framesPerSecond(meter, sizes.seconds, () => fetch(`${bare.url}/?count=${IN_FLIGHT}`)))
      }
      for (const socket of [...ours, ...theirs]) socket.terminate()
      await bare.stop()
      return [ratioOf(`fan-out to ${SOCKETS} sockets`, 'frames/s', median(rates.ours), median(rates.theirs), 0.8)]
    } finally {
      await db.close()
      await server.stop()
      await bench.close()
    }
  },
}

/** Counts frames over all sockets and wakes whoever waits for a number of them. */
class Meter {
  total = 0
  lastLength = 0
  #target = Number.POSITIVE_INFINITY
  #reached: () => void = () => undefined

  count(raw: Buffer): void {
    this.total += 1
    this.lastLength = raw.length
    if (this.total >= this.#target) this.#reached()
  }

  async after(cause: () => Promise<unknown>, frames: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.#reached = resolve
    })
    this.#target = this.total + frames
    await cause()
    await reached
  }
}

async function framesPerSecond(meter: Meter, seconds: number, send: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  const before = meter.total
  while (performance.now() - started < seconds * 1000) await meter.after(send, IN_FLIGHT * SOCKETS)
  return (meter.total - before) / ((performance.now() - started) / 1000)
}

async function record(db: Db, count: number): Promise<void> {
  const change = { topic: sent, actor: null, audience: ['public' as const], data: { text: 'x'.repeat(100) } }
  const changes = Array.from({ length: count }, (_, n) => ({ ...change, subjectId: String(n) }))
  await db.transaction((tx) => recordChanges(tx, changes))
}

async function bareSocket(url: string, meter: Meter): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'), { perMessageDeflate: false })
  socket.on('message', (raw: Buffer) => meter.count(raw))
  await once(socket, 'open')
  return socket
}
