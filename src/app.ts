import { createChangeLog, type ChangeLog, type Topic } from './changes/index.ts'
import { createDelivery } from './delivery/index.ts'
import { catalog, hideProductsOfUser } from './modules/catalog/index.ts'
import { createAuthenticate, extendProfiles, identity, onUserDeleted, rightsEnded } from './modules/identity/index.ts'
import type { Context, Module } from './modules/module.ts'
import { cancelOrdersOfUser, discardLastBag, orders } from './modules/orders/index.ts'
import { countProfileFollows, endFollowsOfUser, social } from './modules/social/index.ts'
import { createHttpServer, idempotencySweep } from './platform/http/server.ts'
import type { App } from './platform/http/app.ts'
import { connectRedis } from './platform/redis.ts'
import type { Service } from './platform/service.ts'
import { registerStateMachineRoutes } from './platform/state-machine/routes.ts'
import type { StateMachine } from './platform/state-machine.ts'
import { sweepService } from './platform/sweep.ts'
import { version } from './platform/version.ts'
import { observe, observeStream } from './observe.ts'
import { createRealtime } from './realtime/index.ts'
import { createChangeStream, type ChangeStream } from './stream/index.ts'

/** `serve` is everything in one process; `api` and `worker` are its two halves. */
export type Role = 'serve' | 'api' | 'worker'

/** An assembled server. */
export interface Souk {
  /** Absent in the worker role. */
  app: App | undefined
  changeLog: ChangeLog
  /** Where HTTP is served, once started; absent in the worker role. */
  readonly address: string | undefined
  /** When a part cannot start, those that did are stopped again before it throws. */
  start(): Promise<void>
  /** Finishes running requests, gives back work in hand; within 5 s. Safe to call twice. */
  stop(): Promise<void>
}

export const modules: readonly Module[] = [identity, catalog, orders, social]
export const topics: readonly Topic[] = modules.flatMap((module) => module.topics)
export const stateMachines: readonly StateMachine[] = modules.flatMap((module) => module.stateMachines ?? [])

onUserDeleted(hideProductsOfUser)
onUserDeleted(discardLastBag)
onUserDeleted(cancelOrdersOfUser)
onUserDeleted(endFollowsOfUser)
extendProfiles(countProfileFollows)

/** Builds the platform and registers every module. Nothing runs before `start`. */
export async function assemble(context: Context & { role: Role }): Promise<Souk> {
  const { config, role } = context
  const changeLog = createChangeLog({ ...context, topics })
  const stream = createChangeStream({
    ...context,
    epoch: async () => (await changeLog.head()).epoch,
    onCommit: (listener) => changeLog.onAdvance(listener),
  })
  const services: Service[] = [...changeLog.services()]
  if (role !== 'api') services.push(...backgroundServices(context, changeLog, stream))
  const app = role === 'worker' ? undefined : await buildHttp(context, changeLog, stream, services)
  const started: Service[] = []
  let address: string | undefined

  const stop = async (): Promise<void> => {
    // Requests first: they may still record changes; then the services, last started first.
    await app?.close()
    for (const service of started.toReversed()) await service.stop()
  }

  return {
    app,
    changeLog,
    get address() {
      return address
    },
    start: async () => {
      // Also where nobody runs them: what is recorded before the first worker starts must wait for them.
      await changeLog.register(modules.flatMap((module) => module.subscribers?.(context) ?? []))
      try {
        for (const service of services) {
          await service.start()
          started.push(service)
        }
        address = await app?.listen({ host: config.host, port: config.port })
      } catch (error) {
        // A port that is taken must not leave services behind which keep the process alive without a database.
        await stop()
        throw error
      }
    },
    stop,
  }
}

async function buildHttp(
  context: Context,
  changeLog: ChangeLog,
  stream: ChangeStream,
  services: Service[],
): Promise<App> {
  const authenticate = createAuthenticate(context)
  const app = await createHttpServer({ ...context, authenticate, version })
  if (context.config.redisUrl !== undefined) {
    const redis = connectRedis(context.config.redisUrl, context.log)
    services.push(redis)
    observeStream(app, redis, stream)
  }
  observe(app, changeLog)
  const realtime = createRealtime({ ...context, app, changeLog, authenticate, topics, rightsEnded })
  services.push(...realtime.services())
  for (const module of modules) module.routes?.(app)
  registerStateMachineRoutes(app, stateMachines)
  realtime.registerRoutes(app)
  return app
}

function backgroundServices(context: Context, changeLog: ChangeLog, stream: ChangeStream): Service[] {
  const templates = modules.flatMap((module) => module.mailTemplates ?? [])
  const delivery = createDelivery({ ...context, templates })
  const subscribers = modules.flatMap((module) => module.subscribers?.(context) ?? [])
  const sweeps = [
    ...modules.flatMap((module) => module.sweeps?.(context) ?? []),
    ...delivery.sweeps(),
    ...stream.sweeps(),
    idempotencySweep(context),
  ]
  return [
    ...changeLog.subscriberServices(subscribers),
    ...delivery.services(),
    ...stream.services(),
    ...modules.flatMap((module) => module.services?.(context) ?? []),
    ...sweeps.map((sweep) => sweepService(sweep, context.log)),
  ]
}
