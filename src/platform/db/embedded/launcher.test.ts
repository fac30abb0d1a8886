import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { findEmbeddedPostgres, startEmbeddedPostgres, type EmbeddedPostgres } from '../embedded.ts'
import { processStart, sendSignal, waitUntil } from './process.ts'
import { isRoot } from './test-process.ts'

const log = pino({ level: 'silent' })
let dataDir: string
let running: EmbeddedPostgres[]

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'souk-test-'))
  running = []
})

afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()))
  await rm(dataDir, { recursive: true, force: true })
})

async function start(folder = dataDir): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir: folder, log, durable: false })
  running.push(server)
  return server
}

async function query<T extends pg.QueryResultRow>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

describe('starting', () => {
  it('makes a database the first time and keeps what is written for the next', async () => {
    const first = await start()
    await query(first.url, 'CREATE TABLE kept AS SELECT 7 AS number')
    await first.stop()
    const second = await start()

    const rows = await query(second.url, 'SELECT number FROM kept')

    expect(first.firstStart).toBe(true)
    expect(second.firstStart).toBe(false)
    expect(rows).toEqual([{ number: 7 }])
  })

  it('gives a role that owns its database and is no superuser', async () => {
    const server = await start()

    const [facts] = await query(
      server.url,
      `SELECT rolsuper AS super, rolcreatedb AS createdb, current_database() AS db, lower('ÉÀ') AS folded,
              current_setting('TimeZone') AS zone, current_setting('jit') AS jit, current_setting('listen_addresses') AS network
       FROM pg_roles WHERE rolname = current_user`,
    )
    await query(server.url, 'CREATE EXTENSION pg_trgm')

    expect(facts).toEqual({
      super: false,
      createdb: true,
      db: 'souk',
      folded: 'éà',
      zone: 'UTC',
      jit: 'off',
      network: '',
    })
  })

  it('throws away a database that was only half made', async () => {
    await mkdir(join(dataDir, 'postgres.new', 'base'), { recursive: true })
    await writeFile(join(dataDir, 'postgres.new', 'PG_VERSION'), '18\n')

    const server = await start()

    expect(server.firstStart).toBe(true)
    expect(await readdir(dataDir)).not.toContain('postgres.new')
  })

  it('makes role and database when the first start died between initdb and them', async () => {
    const first = await start()
    const admin = first.url.replace('souk@localhost:5432/souk', 'postgres@localhost:5432/postgres')
    await query(admin, 'DROP DATABASE souk')
    await query(admin, 'DROP ROLE souk')
    await first.stop()

    const second = await start()

    expect(await query(second.url, 'SELECT current_user::text AS name')).toEqual([{ name: 'souk' }])
  })

  it('puts the socket elsewhere when the path of the data folder is too long for one', async () => {
    const server = await start(join(dataDir, 'long-'.repeat(20)))
    const socketFolder = new URL(server.url).searchParams.get('host')!

    const found = await findEmbeddedPostgres(join(dataDir, 'long-'.repeat(20)))
    const mode = (await stat(socketFolder)).mode & 0o777
    await server.stop()

    expect(found).toBe(server.url)
    expect(mode).toBe(0o700)
    await expect(lstat(socketFolder)).rejects.toThrow('ENOENT')
  })

  it('runs from a folder below one that is closed to everybody else', async () => {
    const folder = join(dataDir, 'home', 'it\'s, a "shop"', 'data')
    await mkdir(folder, { recursive: true })
    await chmod(join(dataDir, 'home'), 0o700)

    const server = await start(folder)

    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('takes a restored folder that belongs to root', async ({ skip }) => {
    skip(!isRoot, 'needs root')
    await (await start()).stop()
    execFileSync('chown', ['-R', '0:0', join(dataDir, 'postgres')])

    const server = await start()

    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('gives up when told to, and leaves the folder usable', async () => {
    const abort = new AbortController()
    const starting = startEmbeddedPostgres({ dataDir, log, durable: false, signal: abort.signal })
    setTimeout(() => abort.abort(), 100)

    await expect(starting).rejects.toThrow(/abort/i)

    expect((await start()).firstStart).toBe(true)
  })

  it('says so when the folder holds something else', async () => {
    await mkdir(join(dataDir, 'postgres'))
    await writeFile(join(dataDir, 'postgres', 'diary.txt'), 'dear diary')

    await expect(start()).rejects.toThrow(/holds something else than a database/)
  })

  it('names both versions when the database was made by another PostgreSQL', async () => {
    await (await start()).stop()
    await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '16\n')

    await expect(start()).rejects.toThrow(/was made by PostgreSQL 16, and this Souk brings 18/)
  })

  it('quotes the reason of PostgreSQL when it cannot start', async () => {
    await (await start()).stop()
    await writeFile(join(dataDir, 'postgres', 'postgresql.conf'), 'no_such_setting = 1\n')

    await expect(start()).rejects.toThrow(/did not start: .*configuration file.* contains errors.*postgres\.log/)
  })
})

describe('running', () => {
  it('is found by another process only while it runs', async () => {
    const server = await start()

    const during = await findEmbeddedPostgres(dataDir)
    await server.stop()
    const after = await findEmbeddedPostgres(dataDir)

    expect(during).toBe(server.url)
    expect(after).toBeUndefined()
  })

  it('starts the server again at the same address when it is killed', async () => {
    const server = await start()
    await query(server.url, 'CREATE TABLE kept AS SELECT 7 AS number')
    const killed = server.pid

    sendSignal(killed, 'SIGKILL')
    const isBack = await waitUntil(() => server.pid !== killed, 20_000)
    const rows = await query(server.url, 'SELECT number FROM kept')

    expect(isBack).toBe(true)
    expect(rows).toEqual([{ number: 7 }])
  })

  it('is in a session of its own, so that Ctrl-C in the terminal does not reach it', async () => {
    const server = await start()

    const session = execFileSync('ps', ['-o', 'sid=', '-p', String(server.pid)], { encoding: 'utf8' })

    expect(Number(session)).toBe(server.pid)
  })

  it('keeps files and socket closed to other accounts', async () => {
    await start()

    const cluster = await stat(join(dataDir, 'postgres'))
    const logFile = await stat(join(dataDir, 'postgres.log'))
    const rules = await readFile(join(dataDir, 'postgres', 'pg_hba.conf'), 'utf8')

    expect(cluster.mode & 0o777).toBe(0o700)
    expect(logFile.mode & 0o777).toBe(0o600)
    expect(rules).toBe('local all souk,postgres peer map=souk\n')
  })
})

describe('stopping', () => {
  it('takes less than 5 s with sessions open and a transaction under way, and can be asked twice', async () => {
    const server = await start()
    const busy = new pg.Client(server.url)
    busy.on('error', () => undefined)
    await busy.connect()
    await busy.query('BEGIN')
    const sleeping = busy.query('SELECT pg_sleep(60)').catch((error: Error) => error.message)
    const begin = performance.now()

    await Promise.all([server.stop(), server.stop()])

    expect(performance.now() - begin).toBeLessThan(5_000)
    expect(await sleeping).toMatch(/terminat/)
    expect(await processStart(server.pid)).toBeUndefined()
  })

  it('ends a server that was killed a moment before', async () => {
    const server = await start()

    sendSignal(server.pid, 'SIGKILL')
    await server.stop()

    expect(await processStart(server.pid)).toBeUndefined()
    expect((await start()).firstStart).toBe(false)
  })
})
