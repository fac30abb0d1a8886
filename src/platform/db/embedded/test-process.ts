import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { createLogger } from '../../log.ts'
import { startEmbeddedPostgres } from './launcher.ts'

/** For tests: a Souk that consists of the embedded database only, in a process of its own that can be killed. */
export interface TestProcess {
  child: ChildProcess
  /** What it said after its start: where the database is, or why there is none. */
  said: { url: string; firstStart: boolean; pid: number } | { error: string; name: string }
  exited: Promise<number | null>
}

/** The account every Linux has; stands for "an ordinary user" when the tests run as root. */
const NOBODY = { uid: 65_534, gid: 65_534 }
export const isRoot = process.geteuid?.() === 0
const ownFile = fileURLToPath(import.meta.url)

export async function startTestProcess(
  dataDir: string,
  options: { ordinary?: boolean; packageFolder?: string } = {},
): Promise<TestProcess> {
  const args = [
    '--import',
    'tsx',
    ownFile,
    dataDir,
    ...(options.packageFolder === undefined ? [] : [options.packageFolder]),
  ]
  const account = options.ordinary === true && isRoot ? NOBODY : {}
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], ...account })
  const exited = new Promise<number | null>((done) => child.once('exit', done))
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, said: JSON.parse(line) as TestProcess['said'], exited }
  }
  throw new Error(`the process said nothing and ended with ${await exited}`)
}

/** The database of a process that must have started. */
export function startedBy(process: TestProcess): { url: string; firstStart: boolean; pid: number } {
  if ('error' in process.said) throw new Error(process.said.error)
  return process.said
}

/** A temporary folder that the ordinary account owns. */
export async function ordinaryFolder(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'souk-test-'))
  if (isRoot) await chown(folder, NOBODY.uid, NOBODY.gid)
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Whether the ordinary account can read this checkout; below the home of root it cannot. */
export function ordinaryAccountCanRun(): boolean {
  if (!isRoot) return true
  return spawnSync(process.execPath, ['-e', `fs.readFileSync(${JSON.stringify(ownFile)})`], NOBODY).status === 0
}

function say(fact: unknown): void {
  process.stdout.write(`${JSON.stringify(fact)}\n`)
}

async function main(dataDir: string, packageFolder: string | undefined): Promise<void> {
  // Holds the process until it is told to end, as the HTTP server does in a real one.
  const hold = setInterval(() => undefined, 60_000)
  try {
    const log = createLogger({ level: 'silent', pretty: false })
    const server = await startEmbeddedPostgres({
      dataDir,
      log,
      durable: false,
      ...(packageFolder && { packageFolder }),
    })
    process.once('SIGTERM', () => void server.stop().then(() => clearInterval(hold)))
    say({ url: server.url, firstStart: server.firstStart, pid: server.pid })
  } catch (error) {
    clearInterval(hold)
    process.exitCode = 1
    say({ error: (error as Error).message, name: (error as Error).name })
  }
}

if (process.argv[1] === ownFile) await main(process.argv[2]!, process.argv[3])
