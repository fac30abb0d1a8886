import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, it } from 'vitest'

import { DataFolderInUseError } from './errors.ts'
import { isLocked, lockFolder } from './lock.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'souk-test-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** The lock of somebody else, made from our own. */
async function plantLock(change: Record<string, unknown>): Promise<void> {
  const own = await lockFolder(folder)
  const [name] = await readdir(folder)
  const file = join(folder, name!)
  const owner = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
  await own.release()
  await writeFile(file, JSON.stringify({ ...owner, ...change }))
}

it('is held by one and free after release', async () => {
  const lock = await lockFolder(folder)

  await expect(lockFolder(folder)).rejects.toThrow(DataFolderInUseError)
  expect(await isLocked(folder)).toBe(true)
  await lock.release()
  await lock.release()

  expect(await isLocked(folder)).toBe(false)
  await (await lockFolder(folder)).release()
})

it('is got by exactly one of many that ask again and again', async () => {
  const held = { now: 0, most: 0, total: 0 }
  async function takeTurns(): Promise<void> {
    for (let turn = 0; turn < 25; turn++) {
      const lock = await lockFolder(folder).catch((error: unknown) => {
        if (error instanceof DataFolderInUseError) return undefined
        throw error
      })
      if (lock === undefined) continue
      held.now++
      held.total++
      held.most = Math.max(held.most, held.now)
      await new Promise((done) => setImmediate(done))
      held.now--
      await lock.release()
    }
  }

  await Promise.all(Array.from({ length: 20 }, takeTurns))

  expect(held.most).toBe(1)
  // That it changes hands at all; how often is a matter of how busy the machine is.
  expect(held.total).toBeGreaterThan(5)
})

it('leaves one small file that only the owner can read', async () => {
  for (let turn = 0; turn < 3; turn++) await (await lockFolder(folder)).release()

  const names = await readdir(folder)

  expect(names).toEqual(['lock.3'])
  expect((await stat(join(folder, 'lock.3'))).mode & 0o777).toBe(0o600)
})

it('is taken over when its owner is dead', async () => {
  await plantLock({ pid: 2 ** 22 + 1 })

  const lock = await lockFolder(folder)

  expect(await readdir(folder)).toEqual(['lock.2'])
  await lock.release()
})

it('is taken over when another process has the number of its owner', async () => {
  await plantLock({ start: '1' })

  const lock = await lockFolder(folder)

  expect(await readdir(folder)).toEqual(['lock.2'])
  await lock.release()
})

it('is taken over when its content was lost in a power cut', async () => {
  await writeFile(join(folder, 'lock.4'), '')

  const lock = await lockFolder(folder)

  expect(await readdir(folder)).toEqual(['lock.5'])
  await lock.release()
})

it('is taken over at once when the system was started anew since', async () => {
  await plantLock({ boot: 'another' })

  const lock = await lockFolder(folder)

  expect(await readdir(folder)).toEqual(['lock.2'])
  await lock.release()
})

it('respects the owner in another container as long as it shows life', async () => {
  await plantLock({ namespace: 'pid:[1]', host: 'elsewhere' })
  const beat = setInterval(() => void utimes(join(folder, 'lock.1'), new Date(), new Date()), 300)

  await expect(lockFolder(folder)).rejects.toThrow(/in use by another Souk \(process \d+ on elsewhere\)/)

  clearInterval(beat)
})

it('is taken over when the owner in another container has been silent for long', async () => {
  await plantLock({ namespace: 'pid:[1]', host: 'elsewhere' })
  const before = new Date(Date.now() - 60_000)
  await utimes(join(folder, 'lock.1'), before, before)

  const lock = await lockFolder(folder)

  expect(await readdir(folder)).toEqual(['lock.2'])
  await lock.release()
})
