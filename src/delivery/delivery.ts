import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db/db.ts'
import { createMailTransport, mailboxFolder, pruneMailbox } from '../platform/mail/index.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import type { Sweep } from '../platform/sweep.ts'
import type { DeliveryKind } from './kind.ts'
import { createMailKind } from './mail-kind.ts'
import { createMailOutage } from './mail-outage.ts'
import type { MailTemplate } from './mail-template.ts'
import { retentionSweeps } from './retention.ts'
import { deliveryStats, type DeliveryStats } from './stats.ts'
import { createWorker } from './worker.ts'

export interface DeliveryOptions {
  db: Db
  config: Config
  clock: Clock
  log: Logger
  templates: readonly MailTemplate[]
  /** Further ways out of the building, besides mail. */
  kinds?: readonly DeliveryKind[]
  /** How long after its last sign of life a worker's work is taken over; default 5 s. */
  leaseMs?: number
}

export interface DeliverySystem {
  /** The worker that sends; in the worker and serve roles. */
  services(): Service[]
  sweeps(): Sweep[]
  stats(): Promise<DeliveryStats[]>
}

/** Everything that leaves the building. */
export function createDelivery(options: DeliveryOptions): DeliverySystem {
  const { db, config, clock, log, templates, kinds = [], leaseMs } = options

  return {
    services: () => {
      const transport = createMailTransport(config.mail, config.dataDir)
      const outage = createMailOutage({ db, log, transport })
      const mail = createMailKind({ config: config.mail, clock, log, templates, transport, outage })
      const worker = createWorker({ db, clock, log, kinds: [mail, ...kinds], ...(leaseMs && { leaseMs }) })
      const start = async () => {
        await worker.start()
        await outage.start()
      }
      const stop = async () => {
        outage.stop()
        await worker.stop()
        await transport.close()
      }
      return [{ ...worker, start, stop }]
    },
    sweeps: () => [
      ...retentionSweeps(db, clock),
      {
        name: 'delivery.prune-mailbox',
        everySeconds: 3_600,
        run: () => pruneMailbox(mailboxFolder(config.dataDir), clock.now()),
      },
    ],
    stats: () => deliveryStats(db),
  }
}
