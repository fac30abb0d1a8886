/** Undefined when ready, a note that goes with being ready, or one sentence on what is wrong; throwing counts as not ready. */
export type ReadinessCheck = () => Promise<string | undefined | { note: string }>

export interface ReadinessResult {
  isReady: boolean
  /** Name of the check to `ok` or to what is wrong. */
  checks: Record<string, string>
}

export interface ReadinessChecks {
  add(name: string, check: ReadinessCheck): void
  /** Runs all checks side by side; calls that overlap share one run, so that probing costs the same however often it is done. */
  run(): Promise<ReadinessResult>
}

const CHECK_TIMEOUT_MS = 2_000

export function createReadinessChecks(): ReadinessChecks {
  const checks = new Map<string, ReadinessCheck>()
  let running: Promise<ReadinessResult> | undefined

  async function runAll(): Promise<ReadinessResult> {
    const names = [...checks.keys()]
    const results = await Promise.all([...checks.values()].map(outcome))
    return {
      isReady: results.every(isOk),
      checks: Object.fromEntries(names.map((name, index) => [name, results[index] ?? 'ok'])),
    }
  }

  return {
    add: (name, check) => void checks.set(name, check),
    run: () => {
      running ??= runAll().finally(() => {
        running = undefined
      })
      return running
    },
  }
}

/** Whether the words of a check say ready: `ok`, perhaps with a note. */
export function isOk(result: string): boolean {
  return /^ok\b/.test(result)
}

function wording(result: Awaited<ReturnType<ReadinessCheck>>): string {
  if (result === undefined) return 'ok'
  return typeof result === 'string' ? result : `ok, ${result.note}`
}

/** The text of a thrown error stays inside: it may name hosts and users. */
async function outcome(check: ReadinessCheck): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIMEOUT_MS, `no answer within ${CHECK_TIMEOUT_MS / 1000} s`)
  })
  try {
    return await Promise.race([check().then(wording), timeout])
  } catch {
    return 'failed'
  } finally {
    clearTimeout(timer)
  }
}
