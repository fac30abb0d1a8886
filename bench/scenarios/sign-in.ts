import { closedLoop, type LoadTarget } from '../support/load.ts'
import { startScript } from '../support/processes.ts'
import { ratioOf, type Scenario } from '../support/scenario.ts'
import { median } from '../support/stats.ts'
import { openWorkbench } from '../support/workbench.ts'

const CONNECTIONS = 8
const credentials = JSON.stringify({ username: 'bench', password: 'bench-password' })

/** `POST /api/auth/login/` beside the same hash with one select and one insert. */
export const signInScenario: Scenario = {
  name: 'sign-in',
  async run(sizes) {
    const bench = await openWorkbench()
    const databaseUrl = await bench.createDatabase()
    const server = await bench.startSouk(databaseUrl)
    const bare = await startScript('bench/bare/sign-in.ts', [databaseUrl, 'bench-password'])
    const target = (url: string): LoadTarget => ({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: () => credentials,
    })
    const ours: number[] = []
    const theirs: number[] = []
    try {
      for (let round = 0; round < sizes.rounds; round++) {
        ours.push((await closedLoop(target(`${server.url}/api/auth/login/`), CONNECTIONS, sizes.seconds)).perSecond)
        theirs.push((await closedLoop(target(bare.url), CONNECTIONS, sizes.seconds)).perSecond)
      }
      return [ratioOf('sign-in', 'requests/s', median(ours), median(theirs))]
    } finally {
      await bare.stop()
      await server.stop()
      await bench.close()
    }
  },
}
