import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let dataDir: string

beforeAll(async () => {
  database = await createTestDatabase()
  dataDir = await mkdtemp(join(tmpdir(), 'souk-data-'))
})

afterAll(async () => {
  await database.drop()
  await rm(dataDir, { recursive: true })
})

test('a start on a taken port ends with one sentence, and leaves nothing running', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo

  const ended = await serve({ PORT: String(port), DATABASE_URL: database.url, DATA_DIR: dataDir })
  other.close()

  expect(ended.code).toBe(1)
  expect(ended.errors).toBe(
    `Port ${port} on 127.0.0.1 is taken by another program. Set PORT to a free one, or stop that program.\n`,
  )
  expect(ended.log).not.toContain('"level":50')
}, 30_000)

/** Runs `souk serve` as a process of its own until it ends. */
async function serve(env: Record<string, string>): Promise<{ code: number | null; errors: string; log: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, '../../src/main.ts'), 'serve'], {
    env: { PATH: process.env['PATH'], LOG_PRETTY: 'false', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const tooLong = setTimeout(() => child.kill('SIGKILL'), 20_000)
  let errors = ''
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearTimeout(tooLong)
  return { code, errors, log }
}
