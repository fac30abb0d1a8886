import type { Logger } from './log.ts'
import type { Service } from './service.ts'

/** Time-driven work: runs at start and then every interval, in every worker; it must be safe to run in several at once and twice. */
export interface Sweep {
  /** `module.verb-noun` */
  name: string
  everySeconds: number
  run(): Promise<void>
}

const STOP_WAIT_MS = 3_000

/** Runs a sweep until stopped. A run that throws is logged and tried again at the next interval. */
export function sweepService(sweep: Sweep, log: Logger): Service {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let stopped = false

  async function once(): Promise<void> {
    try {
      await sweep.run()
    } catch (error) {
      log.error({ err: error, sweep: sweep.name }, 'sweep failed, it will run again at its next interval')
    }
    if (!stopped) timer = setTimeout(begin, sweep.everySeconds * 1000)
  }

  function begin(): void {
    running = once()
  }

  return {
    name: sweep.name,
    start: async () => begin(),
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, STOP_WAIT_MS).unref())])
    },
  }
}
