import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { findEmbeddedPostgres } from './launcher.ts'
import { processStart } from './process.ts'
import {
  isRoot,
  ordinaryAccountCanRun,
  ordinaryFolder,
  startedBy,
  startTestProcess,
  type TestProcess,
} from './test-process.ts'

let dataDir: string
let processes: TestProcess[]

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'souk-test-'))
  processes = []
})

afterEach(async () => {
  await Promise.all(processes.map(stop))
  await rm(dataDir, { recursive: true, force: true })
})

async function start(folder = dataDir, options: { ordinary?: boolean } = {}): Promise<TestProcess> {
  const process = await startTestProcess(folder, options)
  processes.push(process)
  return process
}

async function stop(process: TestProcess): Promise<number | null> {
  process.child.kill('SIGTERM')
  return process.exited
}

async function select(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query(text)
  await client.end()
  return rows
}

describe('two on one data folder', () => {
  it('refuses the second in one sentence and leaves the first alone', async () => {
    const first = await start()

    const second = await start()
    const code = await second.exited

    expect(second.said).toEqual({
      name: 'DataFolderInUseError',
      error: `The data folder ${dataDir} is in use by another Souk (process ${first.child.pid}). Stop that one first, or start this one with another DATA_DIR.`,
    })
    expect(code).toBe(1)
    expect(await select(startedBy(first).url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('lets exactly one of five win that start at the same moment', async () => {
    const all = await Promise.all([start(), start(), start(), start(), start()])

    const winners = all.filter((process) => 'url' in process.said)
    const losers = all.filter((process) => 'error' in process.said && process.said.name === 'DataFolderInUseError')

    expect(winners).toHaveLength(1)
    expect(losers).toHaveLength(4)
  })

  it('gives the folder to the next when the first has stopped', async () => {
    const first = await start()

    const code = await stop(first)
    const second = await start()

    expect(code).toBe(0)
    expect(startedBy(second).firstStart).toBe(false)
  })
})

describe('after kill -9', () => {
  it('ends the server left behind and starts with everything that was committed', async () => {
    const first = await start()
    const orphan = startedBy(first).pid
    await select(startedBy(first).url, 'CREATE TABLE kept AS SELECT 7 AS number')
    first.child.kill('SIGKILL')
    await first.exited
    const lived = await processStart(orphan)

    const second = await start()

    expect(lived).toBeDefined()
    expect(await processStart(orphan)).not.toBe(lived)
    expect(await select(startedBy(second).url, 'SELECT number FROM kept')).toEqual([{ number: 7 }])
  })

  it('lets exactly one of five take over', async () => {
    const first = await start()
    first.child.kill('SIGKILL')
    await first.exited

    const all = await Promise.all([start(), start(), start(), start(), start()])

    expect(all.filter((process) => 'url' in process.said)).toHaveLength(1)
    expect(
      all.filter((process) => 'error' in process.said && process.said.name === 'DataFolderInUseError'),
    ).toHaveLength(4)
  })

  it('is not offered to other processes', async () => {
    const first = await start()
    first.child.kill('SIGKILL')
    await first.exited

    const found = await findEmbeddedPostgres(dataDir)

    expect(found).toBeUndefined()
    expect(startedBy(await start()).firstStart).toBe(false)
  })

  it('does not mistake a stranger with the number of the dead server for it', async () => {
    await stop(await start())
    const [, ...facts] = ['', dataDir, '1', '5432', '.', '', '1 1', 'ready   ', '']
    await writeFile(join(dataDir, 'postgres', 'postmaster.pid'), [process.pid, ...facts].join('\n'))

    const next = await start()

    expect(startedBy(next).firstStart).toBe(false)
  })
})

it('lets nobody but root and the owner connect, not even with open folders', async ({ skip }) => {
  skip(!isRoot || !ordinaryAccountCanRun(), 'needs root and a checkout that others can read')
  const { url } = startedBy(await start())
  const cluster = join(dataDir, 'postgres')
  const { uid, gid } = await stat(cluster)
  const probe = `new (require('pg').Client)(${JSON.stringify(url)}).connect().then(() => 'in', (error) => error.code).then(console.log)`
  const connectAs = (account: { uid: number; gid: number }) =>
    execFileSync(process.execPath, ['-e', probe], { ...account, encoding: 'utf8' }).trim()

  const closed = connectAs({ uid: 65_534, gid: 65_534 })
  await chmod(dataDir, 0o755)
  const account = connectAs({ uid, gid })

  // The path is closed to strangers; the account the server runs as gets through and is refused by name.
  expect(closed).toBe('EACCES')
  expect(account).toBe('28000')
})

describe('an ordinary account', () => {
  it('starts, stops and starts again, with nobody else let in', async ({ skip }) => {
    skip(!ordinaryAccountCanRun(), 'another account cannot read this checkout')
    const { folder, remove } = await ordinaryFolder()
    const first = await start(folder, { ordinary: true })
    await stop(first)
    const second = await start(folder, { ordinary: true })

    const rules = await readFile(join(folder, 'postgres', 'pg_hba.conf'), 'utf8')
    await stop(second)
    await remove()

    expect([startedBy(first).firstStart, startedBy(second).firstStart]).toEqual([true, false])
    expect(rules).toBe('local all souk,postgres peer map=souk\n')
  })

  it('hands its folder to root and gets it back', async ({ skip }) => {
    skip(!isRoot || !ordinaryAccountCanRun(), 'needs root and a checkout that others can read')
    const { folder, remove } = await ordinaryFolder()
    await stop(await start(folder, { ordinary: true }))
    const asRoot = await start(folder)
    await select(startedBy(asRoot).url, 'CREATE TABLE kept AS SELECT 7 AS number')
    await stop(asRoot)

    const again = await start(folder, { ordinary: true })
    await stop(again)
    await remove()

    expect(again.said).toMatchObject({ firstStart: false })
  })

  it('is told whose folder it is when that of root is closed to it', async ({ skip }) => {
    skip(!isRoot || !ordinaryAccountCanRun(), 'needs root and a checkout that others can read')

    const process = await start(dataDir, { ordinary: true })

    expect(process.said).toMatchObject({ name: 'DataFolderError' })
    expect(process.said).toHaveProperty(
      'error',
      expect.stringMatching(/cannot be written by this account \(uid 65534\).*uid 0/),
    )
  })
})
