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

  const ended = await souk(['serve'], { PORT: String(port), DATABASE_URL: database.url, DATA_DIR: dataDir })
  other.close()

  expect(ended.code).toBe(1)
  expect(ended.errors).toBe(
    `Port ${port} on 127.0.0.1 is taken by another program. Set PORT to a free one, or stop that program.\n`,
  )
  expect(ended.log).not.toContain('"level":50')
}, 30_000)

test('a stop of the embedded database leaves no complaint in the log', async () => {
  const ended = await souk(['serve'], { PORT: '0', DATA_DIR: join(dataDir, 'embedded') }, 'Souk is ready')

  expect(ended.code).toBe(0)
  expect(ended.log).toContain('"msg":"stopped"')
  expect(ended.log).not.toMatch(/"level":[456]0/)
}, 60_000)

test.each([
  ['an option of serve', ['serve', '--port', '3'], {}, 'souk serve takes no arguments, not "--port 3"'],
  ['an option without its value', ['demo', '--url'], {}, "Option '--url <value>' argument missing"],
  ['a wrong setting', ['serve'], { PORT: 'x' }, 'Souk cannot start, one setting is wrong:\n  - PORT must'],
  ['a host that does not exist', ['serve'], { HOST: 'no host' }, 'HOST no host is not an address of this machine.'],
])(
  '%s is refused with a sentence instead of a stack',
  async (_, args, env, sentence) => {
    const ended = await souk(args, { PORT: '0', DATABASE_URL: database.url, DATA_DIR: dataDir, ...env })

    expect(ended.code).toBe(1)
    expect(ended.errors).toContain(sentence)
    expect(ended.errors).not.toMatch(/^ +at /m)
  },
  30_000,
)

/** Runs the command as a process of its own until it ends, or stops it with SIGTERM once its log says `until`. */
async function souk(
  args: string[],
  env: Record<string, string>,
  until?: string,
): Promise<{ code: number | null; errors: string; log: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, '../../src/main.ts'), ...args], {
    env: { PATH: process.env['PATH'], LOG_PRETTY: 'false', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const tooLong = setTimeout(() => child.kill('SIGKILL'), 25_000)
  let errors = ''
  let log = ''
  let isStopped = false
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  child.stdout.on('data', (chunk: Buffer) => {
    log += chunk.toString()
    if (until === undefined || isStopped || !log.includes(until)) return
    isStopped = true
    child.kill('SIGTERM')
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearTimeout(tooLong)
  return { code, errors, log }
}
