import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { DataFolderError } from '../../data-folder.ts'
import { startEmbeddedPostgres } from './launcher.ts'

const log = pino({ level: 'silent' })
let parent: string
let canMount: boolean

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'souk-test-'))
  canMount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', parent]).status === 0
  if (canMount) execFileSync('umount', [parent])
})

afterAll(async () => {
  await rm(parent, { recursive: true, force: true })
})

/** A file system of its own that is gone afterwards. */
async function withDisk(size: string, work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(parent, 'disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', folder])
  try {
    await work(folder)
  } finally {
    execFileSync('umount', [folder])
  }
}

const start = (dataDir: string) => startEmbeddedPostgres({ dataDir, log, durable: false })

describe('a full disk', () => {
  it('is named when there is no room for a new database, and leaves nothing half made', async ({ skip }) => {
    skip(!canMount, 'cannot mount a small file system here')

    await withDisk('20m', async (folder) => {
      const starting = start(folder)

      await expect(starting).rejects.toThrow(`The disk that holds the data folder ${folder} is full.`)
      expect((await readdir(folder)).filter((name) => name.startsWith('postgres'))).toEqual([])
    })
  })

  it('is named when there is room for the files and not for what is in them', async ({ skip }) => {
    skip(!canMount, 'cannot mount a small file system here')

    await withDisk('40m', async (folder) => {
      await expect(start(folder)).rejects.toThrow(`The disk that holds the data folder ${folder} is full.`)
    })
  })

  it('is named when not even a lock can be written', async ({ skip }) => {
    skip(!canMount, 'cannot mount a small file system here')

    await withDisk('1m', async (folder) => {
      await writeFile(join(folder, 'filler'), Buffer.alloc(1024 ** 2))

      await expect(start(folder)).rejects.toThrow(DataFolderError)
      await expect(start(folder)).rejects.toThrow(/is full\. Free some space/)
    })
  })

  it('is named at a later start, and a start after space was freed succeeds', async ({ skip }) => {
    skip(!canMount, 'cannot mount a small file system here')

    await withDisk('100m', async (folder) => {
      await (await start(folder)).stop()
      await fill(folder)

      await expect(start(folder)).rejects.toThrow(/is full\. Free some space/)
      await rm(join(folder, 'filler'))
      const server = await start(folder)
      await server.stop()

      expect(server.firstStart).toBe(false)
    })
  })
})

async function fill(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  await writeFile(join(folder, 'filler'), Buffer.alloc(bavail * bsize))
}

describe('a read-only disk', () => {
  it('is named, with an existing database on it', async ({ skip }) => {
    skip(!canMount, 'cannot mount a small file system here')

    await withDisk('100m', async (folder) => {
      await (await start(folder)).stop()
      execFileSync('mount', ['-o', 'remount,ro', folder])

      await expect(start(folder)).rejects.toThrow(
        `The data folder ${folder} is on a read-only file system. Set DATA_DIR to a directory that can be written.`,
      )
    })
  })

  it('is named when the folder would have to be made on it', async ({ skip }) => {
    skip(!canMount, 'cannot mount a small file system here')

    await withDisk('1m', async (folder) => {
      execFileSync('mount', ['-o', 'remount,ro', folder])

      await expect(start(join(folder, 'data'))).rejects.toThrow(/read-only file system/)
    })
  })
})

it('a folder without permission to write is named with its owner', async ({ skip }) => {
  skip(process.geteuid?.() === 0, 'root may write everywhere')
  const folder = join(parent, 'closed')
  await mkdir(folder)
  await chmod(folder, 0o500)

  await expect(start(folder)).rejects.toThrow(/cannot be written by this account/)
})
