import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { freePort, root } from '../../bench/support/processes.ts'

export type Role = 'serve' | 'api' | 'worker'

/** `souk <role>` as a process of its own, which may end at any moment. */
export interface EngineProcess {
  url: string
  /** Resolves when it serves, or has ended before it could; rejects when neither happens in time. */
  readonly ready: Promise<void>
  /** Resolves when it is gone. */
  readonly ended: Promise<void>
  /** How it ended: the signal, or the exit code. Undefined while it runs. */
  end(): string | undefined
  isReady(): boolean
  kill(): void
  /** SIGTERM; throws when that does not end it. */
  stop(): Promise<void>
  output(): string
}

const START_LIMIT_MS = 30_000
/** Three times what it promises: the machine may be busy. */
const STOP_LIMIT_MS = 15_000
const LOOK_MS = 10
const KEPT_OUTPUT = 100_000
/** What a worker writes when it is ready; it has no address to ask. */
const WORKER_IS_READY = 'worker is ready'

export async function spawnEngine(role: Role, env: Record<string, string>): Promise<EngineProcess> {
  const port = await freePort()
  const child = spawn(process.execPath, [join(root, 'bin/souk.js'), role], {
    env: {
      ...process.env,
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_PRETTY: 'false',
      LOG_LEVEL: role === 'worker' ? 'info' : 'error',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const url = `http://127.0.0.1:${port}`
  let text = ''
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-KEPT_OUTPUT)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let isReady = false
  const end = (): string | undefined => child.signalCode ?? child.exitCode?.toString()

  async function untilReady(): Promise<void> {
    const limit = Date.now() + START_LIMIT_MS
    while (end() === undefined) {
      isReady = role === 'worker' ? text.includes(WORKER_IS_READY) : await answers(url)
      if (isReady) return
      if (Date.now() > limit) {
        child.kill('SIGKILL')
        throw new Error(`souk ${role} was not ready in time:\n${text}`)
      }
      await wait(LOOK_MS)
    }
  }

  return {
    url,
    ready: untilReady(),
    ended,
    end,
    isReady: () => isReady && end() === undefined,
    kill: () => void child.kill('SIGKILL'),
    stop: async () => {
      if (end() === undefined) child.kill('SIGTERM')
      await Promise.race([ended, wait(STOP_LIMIT_MS, undefined, { ref: false })])
      if (end() !== undefined) return
      child.kill('SIGKILL')
      throw new Error(`souk ${role} did not end within ${STOP_LIMIT_MS / 1000} s of SIGTERM`)
    },
    output: () => text,
  }
}

function answers(url: string): Promise<boolean> {
  return fetch(`${url}/healthz`).then(
    (response) => response.ok,
    () => false,
  )
}
