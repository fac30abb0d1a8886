import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { access, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../../test/support/app.ts'
import { toTimestamp } from '../../../platform/clock.ts'
import { sql } from '../../../platform/db/sql.ts'
import type { Service } from '../../../platform/service.ts'
import { hideProductsOfUser } from '../delete-products.ts'
import { LeaseLostError, storeBatch } from './import-batch.ts'
import { findImport, insertImport, type ImportRow } from './import-queries.ts'
import { importService } from './import-service.ts'
import { endAbandonedSweep, forgetIdsSweep, removeFilesSweep } from './import-sweeps.ts'
import { createLeaseLocks } from './lease-locks.ts'
import { claimImport } from './lease-queries.ts'
import { openSpool, type Spool } from './spool.ts'

let server: TestApp
let seller: TestUser
let spool: Spool

beforeAll(async () => {
  // No worker of its own: each test says who works.
  server = await startTestApp({ role: 'api' })
  seller = await server.signUp()
  spool = openSpool(server.dataDir)
})

afterAll(async () => {
  await server.close()
})

function item(id: string, price = '10'): string {
  return `<item><g:id>${id}</g:id><title>T</title><g:product_type>p</g:product_type><link>http://a.example</link>
    <description>d</description><g:image_link>http://a.example</g:image_link><g:price>${price}</g:price>
    <g:availability>a</g:availability><g:brand>b</g:brand><g:gtin>g</g:gtin><g:item_group_id>i</g:item_group_id>
    <g:condition>new</g:condition><g:age_group>a</g:age_group><g:color>c</g:color><g:gender>female</g:gender></item>`
}

/** Of every hundred items the last is a problem. */
function feed(prefix: string, count: number): string {
  const items = Array.from({ length: count }, (_, n) => item(`${prefix}${n}`, n % 100 === 99 ? 'x' : '10'))
  return `<rss xmlns:g="http://base.google.com/ns/1.0"><channel>${items.join('\n')}</channel></rss>`
}

async function request(xml: string, query = '', user = seller): Promise<string> {
  const headers = { ...user.headers, 'content-type': 'application/xml' }
  const response = await server.inject({ method: 'POST', url: `/api/imports/${query}`, headers, payload: xml })
  return response.json<{ id: string }>().id
}

function worker(): Service {
  return importService({ ...server, clock: server.app.clock }, spool)
}

async function until(id: string, condition: (job: ImportRow) => boolean): Promise<ImportRow> {
  for (let tries = 0; tries < 1_000; tries++) {
    const job = await findImport(server.db, id)
    if (job !== undefined && condition(job)) return job
    await wait(10)
  }
  throw new Error('the import did not get there')
}

const hasEnded = (job: ImportRow): boolean => job.finishedAt !== null

async function storedIds(prefix: string): Promise<number> {
  const row = await server.db.row<{ count: number }>(
    sql`SELECT count(*) FROM products WHERE feed_id LIKE ${`${prefix}%`} AND deleted IS NULL`,
  )
  return row!.count
}

/** Product ids that the log names as imported by this import. */
async function announced(importId: string): Promise<string[]> {
  const rows = await server.db.rows<{ id: string }>(sql`
    SELECT jsonb_array_elements(data::jsonb -> 'products') ->> 'id' AS id FROM outbox
    WHERE topic = 'catalog.products.imported' AND subject_id = ${importId}`)
  return rows.map((row) => row.id)
}

/** As if the time of a lease had passed. */
async function expireLease(id: string): Promise<void> {
  await server.db.run(sql`UPDATE imports SET lease_until = now() - interval '1 second' WHERE id = ${id}`)
}

async function workUntilKilled(fault: string): Promise<string | null> {
  const script = join(import.meta.dirname, 'import-worker.fixture.ts')
  const args = ['--import', 'tsx', script, server.databaseUrl, server.dataDir, fault]
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  return signal
}

describe('an import whose worker is killed', () => {
  it('goes on behind the last checkpoint and imports nothing twice', async () => {
    const id = await request(feed('kill-', 3_500))
    const seen: number[] = []
    const faults = [
      'import-after-claim',
      'import-before-batch-commit:2',
      'import-after-batch-commit:1',
      'import-before-finish',
    ]

    for (const fault of faults) {
      expect(await workUntilKilled(fault)).toBe('SIGKILL')
      seen.push((await findImport(server.db, id))!.itemsRead)
      await expireLease(id)
    }
    const last = worker()
    await last.start()
    const job = await until(id, hasEnded)
    await last.stop()

    expect(seen).toEqual([0, 1_000, 2_000, 3_500])
    expect(job).toMatchObject({ state: 'succeeded', itemsRead: 3_500, created: 3_465, problematic: 35, existing: 0 })
    expect(await storedIds('kill-')).toBe(3_465)
    const ids = await announced(id)
    expect(ids).toHaveLength(3_465)
    expect(new Set(ids).size).toBe(3_465)
    const report = await server.db.row(sql`
      SELECT count(*), min(ordinal), max(ordinal), count(DISTINCT item) AS items FROM import_problems WHERE import_id = ${id}`)
    expect(report).toEqual({ count: 35, min: 1, max: 35, items: 35 })
    await expect(access(join(server.dataDir, 'imports', `${id}.feed`))).rejects.toThrow('ENOENT')
  })

  it('is taken over at once', async () => {
    const id = await request(feed('gone-', 3_500))
    await workUntilKilled('import-after-batch-commit:1')
    const killed = Date.now()
    const next = worker()
    const other = worker()

    await next.start()
    const taken = await until(id, (job) => job.itemsRead > 1_000)
    const takenAfterMs = Date.now() - killed
    await other.start()
    const job = await until(id, hasEnded)
    await Promise.all([next.stop(), other.stop()])

    // The lease alone would have held for ten seconds; the rest is one batch on a busy machine.
    expect(takenAfterMs).toBeLessThan(5_000)
    expect(taken.state).toBe('running')
    expect(job).toMatchObject({ state: 'succeeded', created: 3_465 })
    expect(await announced(id)).toHaveLength(3_465)
  })

  it('is not taken from a worker that lives', async () => {
    const id = await request(feed('alive-', 1_200))
    const locks = createLeaseLocks(server.db)
    await locks.hold(id)
    const token = randomUUID()
    await server.db.transaction((tx) => claimImport(tx, id, token, toTimestamp(new Date())))
    const impatient = worker()

    await impatient.start()
    await wait(1_000)
    const before = await server.db.row(
      sql`SELECT lease_token AS token, items_read AS read FROM imports WHERE id = ${id}`,
    )
    await locks.close()
    const job = await until(id, hasEnded)
    await impatient.stop()

    expect(before).toEqual({ token, read: 0 })
    expect(job).toMatchObject({ state: 'succeeded', created: 1_188 })
  })
})

describe('workers', () => {
  it('share the work and never do an import twice', async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, (_, n) => request(feed(`share${n}-`, 1_200))))
    const workers = [worker(), worker(), worker()]

    await Promise.all(workers.map((one) => one.start()))
    const jobs = await Promise.all(ids.map((id) => until(id, hasEnded)))
    await Promise.all(workers.map((one) => one.stop()))

    expect(jobs.map((job) => [job.state, job.itemsRead, job.created])).toEqual(
      ids.map(() => ['succeeded', 1_200, 1_188]),
    )
    expect(await storedIds('share')).toBe(5 * 1_188)
    expect((await announced(ids[0]!)).length).toBe(1_188)
  })

  it('import the same ids at once without a deadlock', async () => {
    const xml = feed('same-', 1_500)
    const ids = await Promise.all([request(xml), request(xml, '', await server.signUp()), request(xml, '?mode=update')])
    const workers = [worker(), worker()]

    await Promise.all(workers.map((one) => one.start()))
    const jobs = await Promise.all(ids.map((id) => until(id, hasEnded)))
    await Promise.all(workers.map((one) => one.stop()))

    expect(jobs.map((job) => job.state)).toEqual(['succeeded', 'succeeded', 'succeeded'])
    expect(await storedIds('same-')).toBe(1_485)
    expect(jobs.reduce((sum, job) => sum + job.created, 0)).toBe(1_485)
  })

  it('hand an import over when they stop', async () => {
    const id = await request(feed('stop-', 8_000))
    const first = worker()
    await first.start()
    await until(id, (job) => job.itemsRead > 0)

    await first.stop()
    const atStop = await findImport(server.db, id)
    const second = worker()
    await second.start()
    const job = await until(id, hasEnded)
    await second.stop()

    expect(atStop).toMatchObject({ state: 'running', finishedAt: null })
    expect(job).toMatchObject({ state: 'succeeded', created: 7_920, problematic: 80 })
    expect(await storedIds('stop-')).toBe(7_920)
  })

  it('stop behind the batch in hand when the import is cancelled', async () => {
    const id = await request(feed('cancel-', 20_000))
    const one = worker()
    await one.start()
    await until(id, (job) => job.itemsRead > 0)

    const response = await server.inject({ method: 'POST', url: `/api/imports/${id}/cancel/`, headers: seller.headers })
    const job = await until(id, hasEnded)
    await one.stop()

    expect(response.json()).toMatchObject({ state: 'cancelling' })
    expect(job.state).toBe('cancelled')
    expect(job.created).toBeLessThan(19_000)
    expect(await storedIds('cancel-')).toBe(job.created)
  })

  it('cannot store for an import that another has taken over', async () => {
    const id = await request(feed('lost-', 1))
    const claims = await server.db.transaction((tx) => claimImport(tx, id, seller.userId, toTimestamp(new Date())))
    await expireLease(id)
    await server.db.transaction((tx) => claimImport(tx, id, id, toTimestamp(new Date())))

    const late = storeBatch({ db: server.db, clock: server.app.clock }, claims!, { entries: [], bytesRead: 0 })

    await expect(late).rejects.toBeInstanceOf(LeaseLostError)
    expect(await storedIds('lost-')).toBe(0)
    await server.db.run(sql`UPDATE imports SET state = 'cancelled', finished_at = now() WHERE id = ${id}`)
  })

  it('give up an import that came to nothing five times', async () => {
    const id = await request(feed('poison-', 10))
    await server.db.run(sql`UPDATE imports SET attempts = 5 WHERE id = ${id}`)
    const one = worker()

    await one.start()
    const job = await until(id, hasEnded)
    await one.stop()

    expect(job).toMatchObject({ state: 'failed', error: 'given up after 5 attempts that came to nothing' })
    expect(await storedIds('poison-')).toBe(0)
  })

  it('fail the import of a user who has been deleted', async () => {
    const user = await server.signUp()
    const id = await request(feed('gone-', 10), '', user)
    await server.db.transaction((tx) => hideProductsOfUser(tx, { id: user.userId }))
    const one = worker()

    await one.start()
    const job = await until(id, hasEnded)
    await one.stop()

    expect(job).toMatchObject({ state: 'failed', error: 'the user has been deleted', created: 0 })
  })
})

describe('sweeps', () => {
  const old = new Date(Date.now() - 2 * 3_600_000)

  it('remove files that no unfinished import needs, also when they run twice', async () => {
    const needed = await request(feed('sweep-', 1))
    const orphan = '0193e3a0-7c1e-7000-8000-3f2a5c9d1b47'
    const file = await spool.create(orphan)
    await file.write(Buffer.from('x'))
    await file.keep()
    for (const id of [needed, orphan]) await utimes(join(server.dataDir, 'imports', `${id}.feed`), old, old)
    const sweep = removeFilesSweep(server, spool)

    await sweep.run()
    await sweep.run()

    expect([await spool.has(needed), await spool.has(orphan)]).toEqual([true, false])
    await server.db.run(sql`UPDATE imports SET state = 'cancelled', finished_at = now() WHERE id = ${needed}`)
  })

  it('end imports whose file no worker has', async () => {
    const id = '0193e3a0-7c1e-7000-8000-3f2a5c9d1b50'
    const what = { id, ownerId: seller.userId, username: 'x', email: null, fileName: 'f', mode: 'create' as const }
    const requestedAt = toTimestamp(new Date(Date.now() - 25 * 3_600_000))
    await server.db.transaction((tx) =>
      insertImport(tx, { ...what, dryRun: false, isCompressed: false, isChecked: false, bytesTotal: 1, requestedAt }),
    )
    const one = worker()
    await one.start()
    await wait(300)
    await one.stop()
    expect(await findImport(server.db, id)).toMatchObject({ state: 'queued' })
    const sweep = endAbandonedSweep({ ...server, clock: server.app.clock }, spool)

    await sweep.run()
    await sweep.run()

    expect(await findImport(server.db, id)).toMatchObject({
      state: 'failed',
      error: 'the uploaded file is no longer there',
    })
  })

  it('forget the ids of imports that have ended', async () => {
    const id = await request(feed('ids-', 10), '?dry_run=true')
    const one = worker()
    await one.start()
    await until(id, hasEnded)
    await one.stop()
    const met = () => server.db.row<{ count: number }>(sql`SELECT count(*) FROM import_ids WHERE import_id = ${id}`)
    const before = await met()

    await forgetIdsSweep(server).run()

    expect([before?.count, (await met())?.count]).toEqual([10, 0])
  })
})
