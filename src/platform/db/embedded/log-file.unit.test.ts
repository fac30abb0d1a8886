import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, it } from 'vitest'

import { cutWhenLarge, openLogFile } from './log-file.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'souk-test-'))
  path = join(folder, 'postgres.log')
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

it('reads what was written since a mark', async () => {
  const file = await openLogFile(path)
  writeSync(file.fd, 'before\n')
  const mark = await file.mark()
  writeSync(file.fd, 'after\n')

  const text = await file.readSince(mark)
  await file.close()

  expect(text).toBe('after\n')
})

it('puts a large file aside while its writer goes on, and keeps what was in it', async () => {
  const file = await openLogFile(path)
  writeSync(file.fd, 'old line\n')

  await cutWhenLarge(path, 5)
  writeSync(file.fd, 'new line\n')
  await file.close()

  expect(await readFile(`${path}.1`, 'utf8')).toBe('old line\n')
  expect(await readFile(path, 'utf8')).toBe('new line\n')
})

it('leaves a small file alone', async () => {
  await writeFile(path, 'line\n')

  await cutWhenLarge(path, 5)

  await expect(stat(`${path}.1`)).rejects.toThrow('ENOENT')
})

it('puts a file aside that is too large when it is opened', async () => {
  await writeFile(path, Buffer.alloc(10 * 1024 ** 2, 'x'))
  await appendFile(path, 'x')

  const file = await openLogFile(path)
  await file.close()

  expect((await stat(path)).size).toBe(0)
  expect((await stat(`${path}.1`)).size).toBe(10 * 1024 ** 2 + 1)
})
