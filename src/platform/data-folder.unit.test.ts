import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, it } from 'vitest'

import { DataFolderError, dataFolderError, openDataFolder } from './data-folder.ts'

let parent: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'souk-test-'))
})

afterEach(async () => {
  await rm(parent, { recursive: true, force: true })
})

it('makes the folder with its parents, for the owner only, and leaves nothing in it', async () => {
  const folder = await openDataFolder(join(parent, 'a', 'b'))

  expect(folder).toBe(join(parent, 'a', 'b'))
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect(await readdir(folder)).toEqual([])
})

it('opens an existing folder as it is', async () => {
  const folder = join(parent, 'data')
  await mkdir(folder, { mode: 0o755 })
  await writeFile(join(folder, 'kept'), 'x')

  await Promise.all([openDataFolder(folder), openDataFolder(folder), openDataFolder(folder)])

  expect((await stat(folder)).mode & 0o777).toBe(0o755)
  expect(await readdir(folder)).toEqual(['kept'])
})

it.each([
  ['a file', 'file'],
  ['below a file', 'file/data'],
])('says that %s is not a directory', async (_what, path) => {
  await writeFile(join(parent, 'file'), '')

  const opening = openDataFolder(join(parent, path))

  await expect(opening).rejects.toThrow(DataFolderError)
  await expect(opening).rejects.toThrow(/is not a directory\. Set DATA_DIR to a directory\./)
})

it('says that a link leads nowhere', async () => {
  await symlink(join(parent, 'gone'), join(parent, 'link'))

  await expect(openDataFolder(join(parent, 'link'))).rejects.toThrow(/link is a link that leads nowhere/)
})

it.each([
  ['ENOSPC', /is full/],
  ['EDQUOT', /is full/],
  ['EROFS', /read-only file system/],
  ['EACCES', /cannot be written by this account/],
])('has a sentence for %s', async (code, sentence) => {
  const error = await dataFolderError(Object.assign(new Error(code), { code }), parent)

  expect(error).toBeInstanceOf(DataFolderError)
  expect((error as Error).message).toMatch(sentence)
})

it('leaves errors of other kinds alone', async () => {
  const error = new Error('something else')

  expect(await dataFolderError(error, parent)).toBe(error)
})
