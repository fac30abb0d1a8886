import type { Subscriber, Topic } from '../changes/index.ts'
import type { MailTemplate } from '../delivery/index.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db/db.ts'
import type { App } from '../platform/http/app.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import type { StateMachine } from '../platform/state-machine.ts'
import type { Sweep } from '../platform/sweep.ts'

/** What the platform lends to everything that runs outside a request. */
export interface Context {
  db: Db
  config: Config
  clock: Clock
  log: Logger
}

/** What a module brings; `app.ts` wires the parts into the roles that need them. */
export interface Module {
  name: string
  topics: readonly Topic[]
  mailTemplates?: readonly MailTemplate[]
  /** Drawn in docs/state-machines and at `/api/state-machines/`. */
  stateMachines?: readonly StateMachine[]
  /** Registers the HTTP routes; in the api and serve roles. */
  routes?(app: App): void
  /** In the worker and serve roles. */
  subscribers?(context: Context): Subscriber[]
  sweeps?(context: Context): Sweep[]
  services?(context: Context): Service[]
}
