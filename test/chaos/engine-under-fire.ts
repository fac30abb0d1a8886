import { spawnEngine, type EngineProcess, type Role } from './engine-process.ts'

/** One process that is killed and started again, with the same settings but on changing ports. */
export interface EngineUnderFire {
  readonly role: Role
  /** The one that was started last. */
  readonly current: EngineProcess
  /** Times it ended without being asked to. */
  readonly deaths: number
  /** The fault points that ended it, each as often as it did. */
  readonly reached: readonly string[]
  /** Ends that nobody caused. */
  readonly strangeEnds: readonly string[]
  kill(): void
  /** kill -9, and it stays down until `release`. */
  hold(): void
  release(): void
  /** Starts it again when it is gone; several who ask at once wait for one start. */
  revive(): Promise<void>
  stop(): Promise<void>
}

interface EngineOptions {
  role: Role
  env: Record<string, string>
  /** `name:pass` for the next start; undefined for one without. */
  nextFault(): string | undefined
}

const KILLED = 'SIGKILL'
const SHOWN_OUTPUT = 2_000

export async function startEngineUnderFire(options: EngineOptions): Promise<EngineUnderFire> {
  const { role, env } = options
  const reached: string[] = []
  const strangeEnds: string[] = []
  let deaths = 0
  let fault: string | undefined
  let isKilled = false
  let isHeld = false
  let isStopped = false
  let starting: Promise<void> | undefined
  let current: EngineProcess
  let counted: EngineProcess | undefined

  async function start(): Promise<void> {
    do {
      fault = options.nextFault()
      current = await spawnEngine(role, { ...env, ...(fault === undefined ? {} : { SOUK_FAULT: fault }) })
      // Whoever killed until now meant the one before; but what is held stays down.
      isKilled = false
      if (isHeld) kill()
      await current.ready.catch(recordLateStart)
      // Some points are passed while starting; that death counts like any other.
    } while (!current.isReady() && mayStartAgain())
  }

  /** An end that nobody caused would only be repeated. */
  function mayStartAgain(): boolean {
    if (!recordDeath()) throw new Error(strangeEnds.at(-1))
    return !isStopped && !isHeld
  }

  /** It was ended for taking too long to start, which its end alone does not tell. */
  function recordLateStart(error: unknown): never {
    counted = current
    strangeEnds.push((error as Error).message)
    throw error
  }

  /** Whether it was killed, from outside or at its fault point. */
  function recordDeath(): boolean {
    if (counted === current) return true
    counted = current
    deaths += 1
    const isOfSignal = current.end() === KILLED
    if (fault !== undefined && !isKilled && isOfSignal) reached.push(fault)
    if (isOfSignal && (isKilled || fault !== undefined)) return true
    strangeEnds.push(`souk ${role} ended with ${current.end()}: ${current.output().slice(-SHOWN_OUTPUT)}`)
    return false
  }

  function kill(): void {
    isKilled = true
    current.kill()
  }

  async function restart(): Promise<void> {
    if (isStopped || isHeld || current.end() === undefined) return
    recordDeath()
    await start()
  }

  await start()
  return {
    role,
    get current() {
      return current
    },
    get deaths() {
      return deaths
    },
    reached,
    strangeEnds,
    kill,
    hold: () => {
      isHeld = true
      kill()
    },
    release: () => {
      isHeld = false
    },
    revive: () => {
      starting ??= restart().finally(() => (starting = undefined))
      return starting
    },
    stop: async () => {
      isStopped = true
      await starting
      await current.stop()
    },
  }
}
