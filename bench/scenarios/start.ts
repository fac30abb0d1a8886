import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startSouk } from '../support/processes.ts'
import { below, type Scenario } from '../support/scenario.ts'

const IDLE_WAIT_MS = 10_000

/** From the command to the first answer, on an empty and on a used data folder, with the embedded database; then idle memory. */
export const startScenario: Scenario = {
  name: 'start',
  async run(sizes) {
    const folder = await mkdtemp(join(tmpdir(), 'souk-start-'))
    const env = { DATA_DIR: join(folder, 'data'), LOG_LEVEL: 'error' }
    try {
      const first = await timedStart(env)
      await first.server.stop()
      const second = await timedStart(env)
      await new Promise((resolve) => setTimeout(resolve, sizes.isSmoke ? 500 : IDLE_WAIT_MS))
      const idleMegabytes = second.server.residentBytes() / 1024 ** 2
      await second.server.stop()
      return [
        below('start on an empty folder to first answer', 's', first.seconds, 3),
        below('start on a used folder to first answer', 's', second.seconds, 1),
        below('idle memory of our process', 'MB', idleMegabytes, 120),
      ]
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

async function timedStart(env: Record<string, string>) {
  const started = performance.now()
  const server = await startSouk(env)
  return { server, seconds: (performance.now() - started) / 1000 }
}
