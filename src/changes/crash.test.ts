import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, it } from 'vitest'

import { note, startChangeLog, until } from '../../test/support/changes.ts'
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { sql } from '../platform/db/sql.ts'

const script = join(import.meta.dirname, '../../test/support/changes-child.ts')

let database: TestDatabase
const children: ChildProcess[] = []

beforeEach(async () => {
  database = await createTestDatabase()
  await database.db.run(sql`CREATE TABLE facts (id uuid PRIMARY KEY)`)
  await database.db.run(sql`
    CREATE TABLE effects (place bigint GENERATED ALWAYS AS IDENTITY, id uuid, key text, text text)`)
})

afterEach(async () => {
  await Promise.all(children.splice(0).map(end))
  await database.drop()
})

interface ChildOptions {
  fault?: string
  mode?: 'each' | 'batch'
  records?: number
  deadly?: string
}

/** Starts a child and waits until its subscriber runs. */
async function startChild(options: ChildOptions = {}): Promise<ChildProcess> {
  const settings = JSON.stringify({ url: database.url, mode: 'batch', records: 0, ...options })
  const child = spawn(process.execPath, ['--import', 'tsx', script, settings], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await once(child.stdout, 'data')
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function died(child: ChildProcess): Promise<void> {
  if (child.signalCode === null) await once(child, 'exit')
  if (child.signalCode !== 'SIGKILL') throw new Error(`the child ended by itself: ${child.exitCode}`)
}

/** Starts the last child again whenever it has died; `stop` returns how often that was. */
function supervise(options: ChildOptions): { stop(): Promise<number> } {
  let deaths = 0
  let isOver = false
  const watching = watch()

  async function watch(): Promise<void> {
    while (!isOver) {
      const child = children.at(-1)!
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      if (isOver) return
      deaths += 1
      await startChild(options)
    }
  }

  return {
    stop: async () => {
      isOver = true
      await Promise.all(children.map(end))
      await watching
      return deaths
    },
  }
}

async function effects(): Promise<string[]> {
  const rows = await database.db.rows<{ text: string }>(sql`SELECT text FROM effects ORDER BY place`)
  return rows.map((row) => row.text)
}

it.each([
  'before-subscriber-commit:3',
  'after-subscriber-commit:3',
  'before-sequence-commit:4',
  'after-sequence-commit:4',
  'after-record:40',
])('loses, invents and repeats nothing when killed at %s', async (fault) => {
  const child = await startChild({ fault, mode: 'each', records: 200 })

  await died(child)
  await startChild()
  await until('all that was committed has had its effect', async () => {
    const left = await database.db.row(sql`SELECT FROM facts WHERE id NOT IN (SELECT id FROM effects) LIMIT 1`)
    return left === undefined
  })

  const texts = await effects()
  const facts = await database.db.row<{ count: number }>(sql`SELECT count(*) AS count FROM facts`)
  expect(texts).toHaveLength(facts!.count)
  expect(texts).toEqual(texts.map((_text, index) => `${index}`))
})

it('is taken over within a second when the process that runs it is killed', async () => {
  const first = await startChild({ mode: 'each' })
  await note(database.db, 'a')
  await until('the first one works', async () => (await effects()).length === 1)
  await startChild({ mode: 'each' })

  await end(first)
  const started = performance.now()
  await note(database.db, 'b')
  await until('the second one works', async () => (await effects()).length === 2)

  expect(performance.now() - started).toBeLessThan(1_000)
})

it('parks a change that ends the process every time, counting tries over restarts, and handles the others', async () => {
  const log = await startChangeLog(database.db)
  await startChild({ deadly: 'deadly' })
  await note(database.db, 'before')
  await note(database.db, 'deadly')
  for (let n = 0; n < 5; n++) await note(database.db, `${n}`)

  const supervised = supervise({ deadly: 'deadly' })
  await until(
    'it is parked',
    async () => {
      await database.db.run(sql`UPDATE parked_changes SET retry_at = now() WHERE retry_at IS NOT NULL`)
      const status = await log.changeLog.status()
      return status.subscribers[0]?.parked === 1
    },
    60_000,
  )
  const deaths = await supervised.stop()
  const handled = await effects()
  await log.stop()

  expect(handled).toEqual(['before', '0', '1', '2', '3', '4'])
  expect(deaths).toBeGreaterThanOrEqual(5)
  expect(deaths).toBeLessThanOrEqual(8)
}, 90_000)
