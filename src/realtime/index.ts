import { Gauge } from 'prom-client'

import type { Topic } from '../changes/index.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db/db.ts'
import type { App } from '../platform/http/app.ts'
import type { Authenticate } from '../platform/http/caller.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import { registerChangesRoutes } from './changes-routes.ts'
import { Hub, type HubOptions } from './hub.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { createReadChanges } from './read-changes.ts'
import type { RightsEnded } from './rights.ts'
import { registerSocketRoutes } from './socket-routes.ts'

export type { RightsChange, RightsEnded } from './rights.ts'

export interface RealtimeOptions {
  app: App
  db: Db
  config: Config
  clock: Clock
  log: Logger
  changeLog: HubOptions['changeLog']
  authenticate: Authenticate
  topics: readonly Topic[]
  /** Which rights a change of the log ends: identity's reading of its own changes. */
  rightsEnded: RightsEnded
  limits?: Partial<Limits>
}

export interface RealtimeStats {
  sockets: number
  /** Event streams and waiting reads. */
  streams: number
  /** How far this process has read the log. */
  position: number
  /** Changes kept in memory, and their rough size. */
  recentChanges: number
  recentBytes: number
}

export interface Realtime {
  /** The tail of the log and the heartbeats; their stop sends everybody away with "reconnect". */
  services(): Service[]
  /** `/ws/changes/`, `/api/changes/`, `/api/changes/stream/`, `/api/topics/`. */
  registerRoutes(app: App): void
  stats(): RealtimeStats
}

/** Reads the log once per process and brings each change to whoever listens and may hear it. */
export function createRealtime(options: RealtimeOptions): Realtime {
  const hub = new Hub({ ...options, limits: { ...defaultLimits, ...options.limits } })
  const stats = (): RealtimeStats => ({
    sockets: hub.socketQuota.total,
    streams: hub.streamQuota.total,
    position: hub.tail.position,
    recentChanges: hub.recent.end - hub.recent.start,
    recentBytes: hub.recent.bytes,
  })

  return {
    services: () => hub.services(),
    stats,
    registerRoutes: (app) => {
      registerSocketRoutes(app, hub, options.authenticate)
      registerChangesRoutes(app, hub, createReadChanges(hub, options.db, options.changeLog), options.topics)
      registerGauge(app, stats)
      // The server waits for open connections when it closes, and these never end by themselves.
      app.addHook('preClose', () => hub.close())
    },
  }
}

function registerGauge(app: App, stats: () => RealtimeStats): void {
  app.metrics.registry.registerMetric(
    new Gauge({
      name: 'souk_live_readers',
      help: 'Open sockets, and event streams with waiting reads.',
      labelNames: ['kind'],
      registers: [],
      collect() {
        const { sockets, streams } = stats()
        this.set({ kind: 'socket' }, sockets)
        this.set({ kind: 'stream' }, streams)
      },
    }),
  )
}
