import { Gauge } from 'prom-client'

import type { ChangeLog } from './changes/index.ts'
import { deliveryStats } from './delivery/index.ts'
import type { App } from './platform/http/app.ts'
import type { RedisConnection } from './platform/redis.ts'
import type { ChangeStream } from './stream/index.ts'

/** Further behind than this, mails and pushes are minutes late: somebody should look, and no more traffic should come. */
const MAX_LAG = 100_000

/** Puts the log and the deliveries on `/readyz` and `/metrics`: totals only, no label per destination. */
export function observe(app: App, changeLog: ChangeLog): void {
  app.readinessChecks.add('subscribers', async () => {
    const { subscribers } = await changeLog.status()
    const lag = Math.max(0, ...subscribers.map((subscriber) => subscriber.lag))
    const parked = subscribers.reduce((total, subscriber) => total + subscriber.parked, 0)
    if (lag > MAX_LAG) return `the slowest subscriber is ${lag} changes behind`
    return { note: `at most ${lag} changes behind, ${parked} parked` }
  })
  app.metrics.registry.registerMetric(logGauge(changeLog))
  app.metrics.registry.registerMetric(subscriberGauge(changeLog))
  app.metrics.registry.registerMetric(deliveryGauge(app))
}

/** Puts Redis and the change stream on `/readyz`, the stream on `/metrics`. Requests are served without Redis, so that it is only noted. */
export function observeStream(app: App, redis: RedisConnection, stream: ChangeStream): void {
  app.readinessChecks.add('redis', async () => {
    const problem = await redis.problem()
    return problem === undefined ? undefined : { note: `but ${problem}` }
  })
  app.readinessChecks.add('change stream', async () => {
    const { waiting, waitingSeconds, problem } = await stream.status()
    const since = waitingSeconds > 0 ? `, the first for ${waitingSeconds} s` : ''
    const reason = problem === undefined ? '' : `: ${problem}`
    return { note: `${waiting} row changes are not in Redis yet${since}${reason}` }
  })
  app.metrics.registry.registerMetric(streamGauge(stream))
}

function streamGauge(stream: ChangeStream): Gauge {
  return new Gauge({
    name: 'souk_change_stream_rows',
    help: 'Row changes that are in Redis, counted once each, and committed ones that are not.',
    labelNames: ['state'],
    registers: [],
    async collect() {
      const { published, waiting } = await stream.status()
      this.set({ state: 'published' }, published)
      this.set({ state: 'waiting' }, waiting)
    },
  })
}

function logGauge(changeLog: ChangeLog): Gauge {
  return new Gauge({
    name: 'souk_change_log_position',
    help: 'The last and the oldest position of the change log, and committed changes that have none yet.',
    labelNames: ['which'],
    registers: [],
    async collect() {
      const { position, oldest, unsequenced } = await changeLog.status()
      this.set({ which: 'last' }, position)
      this.set({ which: 'oldest' }, oldest)
      this.set({ which: 'unsequenced' }, unsequenced)
    },
  })
}

function subscriberGauge(changeLog: ChangeLog): Gauge {
  return new Gauge({
    name: 'souk_subscriber_changes',
    help: 'Changes a subscriber has still to read, is trying again, or has parked.',
    labelNames: ['subscriber', 'state'],
    registers: [],
    async collect() {
      const { subscribers } = await changeLog.status()
      for (const { name, lag, retrying, parked } of subscribers) {
        this.set({ subscriber: name, state: 'lag' }, lag)
        this.set({ subscriber: name, state: 'retrying' }, retrying)
        this.set({ subscriber: name, state: 'parked' }, parked)
      }
    },
  })
}

function deliveryGauge(app: App): Gauge {
  return new Gauge({
    name: 'souk_deliveries',
    help: 'Outgoing work by kind and state; committed = pending + leased + parked + succeeded + failed.',
    labelNames: ['kind', 'state'],
    registers: [],
    async collect() {
      this.reset()
      for (const { kind, destination: _, ...states } of await deliveryStats(app.db)) {
        for (const [state, count] of Object.entries(states)) this.inc({ kind, state }, count)
      }
    },
  })
}
