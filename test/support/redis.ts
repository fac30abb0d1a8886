import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Redis } from 'ioredis'

import { freePort } from '../../bench/support/processes.ts'

/** Why tests with a Redis are left out; undefined where its server is installed. */
export const redisIsMissing: string | undefined =
  spawnSync('redis-server', ['--version']).status === 0 ? undefined : 'redis-server is not installed'

/** A redis-server process on a port and a folder of its own, which can be taken away and brought back. */
export interface RedisServer {
  url: string
  /** A client of its own; closed with the server. */
  client(): Redis
  start(): Promise<void>
  /** Ends the process: with SIGKILL what it had not written to disk is lost. */
  end(signal?: NodeJS.Signals): Promise<void>
  signal(signal: NodeJS.Signals): void
  close(): Promise<void>
}

const START_LIMIT_MS = 10_000
const COMMAND_TIMEOUT_MS = 5_000

export async function startRedis(options: { args?: readonly string[] } = {}): Promise<RedisServer> {
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  const folder = await mkdtemp(join(tmpdir(), 'souk-redis-'))
  const clients: Redis[] = []
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
    child = spawn('redis-server', [...where, '--save', '', ...(options.args ?? [])], { stdio: 'ignore' })
    const limit = Date.now() + START_LIMIT_MS
    const probe = new Redis(url, { lazyConnect: true, retryStrategy: () => 20, maxRetriesPerRequest: null })
    probe.on('error', () => undefined)
    while ((await probe.ping().catch(() => undefined)) !== 'PONG') {
      if (Date.now() > limit) throw new Error('redis-server did not start')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    probe.disconnect()
  }

  async function end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  await start()
  return {
    url,
    client: () => {
      // Commands wait while the server is away; one whose answer got lost with a connection must not wait for ever.
      const client = new Redis(url, {
        retryStrategy: () => 50,
        maxRetriesPerRequest: null,
        commandTimeout: COMMAND_TIMEOUT_MS,
      })
      client.on('error', () => undefined)
      clients.push(client)
      return client
    },
    start,
    end,
    signal: (signal) => void child?.kill(signal),
    close: async () => {
      for (const client of clients) client.disconnect()
      await end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
