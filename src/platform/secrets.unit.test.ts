import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, it } from 'vitest'

import { readOrCreateSecret, writeOwnerOnly } from './secrets.ts'

let dataDir: string

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'souk-test-'))
})

afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true })
})

it('makes a secret once and reads it from then on', async () => {
  const first = await readOrCreateSecret(dataDir, 'secret-key', 32)

  const second = await readOrCreateSecret(dataDir, 'secret-key', 32)

  expect(second).toBe(first)
  expect(Buffer.from(first, 'base64url')).toHaveLength(32)
})

it('makes another one for another name', async () => {
  const one = await readOrCreateSecret(dataDir, 'one', 32)
  const two = await readOrCreateSecret(dataDir, 'two', 32)

  expect(one).not.toBe(two)
})

it('gives everybody the same value when many ask at once', async () => {
  const values = await Promise.all(Array.from({ length: 50 }, () => readOrCreateSecret(dataDir, 'secret-key', 32)))

  expect(new Set(values).size).toBe(1)
  expect(await readdir(join(dataDir, 'secrets'))).toEqual(['secret-key'])
})

it('keeps secrets to their owner, also after a copy that lost the permissions', async () => {
  await readOrCreateSecret(dataDir, 'secret-key', 32)
  const file = join(dataDir, 'secrets', 'secret-key')
  const made = await stat(file)
  await chmod(file, 0o644)

  await readOrCreateSecret(dataDir, 'secret-key', 32)

  expect(made.mode & 0o777).toBe(0o600)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await stat(join(dataDir, 'secrets'))).mode & 0o777).toBe(0o700)
})

it('refuses an empty secret instead of using or replacing it', async () => {
  await readOrCreateSecret(dataDir, 'secret-key', 32)
  await writeFile(join(dataDir, 'secrets', 'secret-key'), '')

  await expect(readOrCreateSecret(dataDir, 'secret-key', 32)).rejects.toThrow(/secret-key is empty/)
})

it('writes a file that only its owner can read, and replaces it', async () => {
  await writeOwnerOnly(dataDir, 'admin-password', 'first\n')
  const file = await writeOwnerOnly(dataDir, 'admin-password', 'second\n')

  expect(await readFile(file, 'utf8')).toBe('second\n')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readdir(join(dataDir, 'secrets'))).toEqual(['admin-password'])
})
