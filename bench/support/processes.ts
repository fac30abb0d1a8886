import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

export interface ServerProcess {
  url: string
  pid: number
  /** Resident memory in bytes. */
  residentBytes(): number
  stop(): Promise<void>
  kill(): void
  hasExited(): boolean
  /** What it has written so far. */
  output(): string
}

const START_LIMIT_MS = 30_000

/** `souk <role>` as a process of its own on a free port; resolves when it answers /healthz. */
export async function startSouk(env: Record<string, string>, role = 'serve'): Promise<ServerProcess> {
  const port = await freePort()
  const child = spawn(process.execPath, [join(root, 'bin/souk.js'), role], {
    env: { ...process.env, PORT: String(port), HOST: '127.0.0.1', LOG_PRETTY: 'false', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const server = watch(child, `http://127.0.0.1:${port}`)
  await untilAnswers(server, child).catch((error: unknown) => {
    server.kill()
    throw error
  })
  return server
}

/** A script of ours below `bench/` or `test/`, run with tsx; it prints its address as the first line. */
export async function startScript(
  file: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<ServerProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, file), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const server = watch(child, '')
  const until = Date.now() + START_LIMIT_MS
  while (!server.output().includes('\n')) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`${file} did not start:\n${server.output()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return { ...server, url: server.output().split('\n')[0]! }
}

function watch(child: ChildProcess, url: string): ServerProcess {
  let text = ''
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-100_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    url,
    pid: child.pid!,
    residentBytes: () => residentBytes(child.pid!),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended
    },
    kill: () => void child.kill('SIGKILL'),
    hasExited: () => child.exitCode !== null || child.signalCode !== null,
    output: () => text,
  }
}

async function untilAnswers(server: ServerProcess, child: ChildProcess): Promise<void> {
  const until = Date.now() + START_LIMIT_MS
  while (Date.now() < until) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`souk ended with ${child.exitCode}:\n${server.output()}`)
    const isUp = await fetch(`${server.url}/healthz`).then(
      (response) => response.ok,
      () => false,
    )
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`souk did not answer in time:\n${server.output()}`)
}

/** Resident set of a process, from /proc (Linux). */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024
}

/** Below what systems give to outgoing connections: one of those may take a port that was free a moment ago. */
const PORTS = { first: 10_240, count: 22_528 }

/** A port that nobody listens on at the moment, chosen at random because others choose at the same time. */
export async function freePort(): Promise<number> {
  const port = PORTS.first + randomInt(PORTS.count)
  const server = createServer()
  const isFree = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
  })
  if (!isFree) return freePort()
  await new Promise((resolve) => server.close(resolve))
  return port
}
