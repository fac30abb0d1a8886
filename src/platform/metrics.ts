import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

import type { Db } from './db/db.ts'

/** What `/metrics` shows. Other parts add their own: `new Gauge({ name, help, registers: [metrics.registry] })`. */
export interface Metrics {
  registry: Registry
  /** `route` is the pattern, never the path: paths would make a label per user. */
  observeRequest(method: string, route: string, status: number, seconds: number): void
  /** Prometheus text format. */
  text(): Promise<string>
}

/** Seconds; most answers take a few milliseconds, uploads take long. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** Event-loop lag, memory and garbage collection of the process, the pool, and request durations. */
export function createMetrics(db: Db): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  registry.registerMetric(poolGauge(db))
  const durations = new Histogram({
    name: 'souk_http_request_duration_seconds',
    help: 'From the first byte of the request to the last of the answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS,
    registers: [registry],
  })

  return {
    registry,
    observeRequest: (method, route, status, seconds) => durations.observe({ method, route, status }, seconds),
    text: () => registry.metrics(),
  }
}

function poolGauge(db: Db): Gauge {
  return new Gauge({
    name: 'souk_database_connections',
    help: 'Connections of the pool, and requests that wait for one.',
    labelNames: ['state'],
    registers: [],
    collect() {
      const { total, idle, waiting } = db.stats
      this.set({ state: 'busy' }, total - idle)
      this.set({ state: 'idle' }, idle)
      this.set({ state: 'waiting' }, waiting)
    },
  })
}
