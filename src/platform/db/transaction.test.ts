import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import type { Tx } from './db.ts'
import { sql, type Sql } from './sql.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 1 })
  await database.db.run(sql`CREATE TABLE notes (place integer PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, text text)`)
})
beforeEach(() => database.db.run(sql`TRUNCATE notes`))
afterAll(() => database.drop())

const write = (place: number): Sql => sql`INSERT INTO notes VALUES (${place}, ${`note ${place}`})`
const written = async (): Promise<number[]> =>
  (await database.db.rows<{ place: number }>(sql`SELECT place FROM notes ORDER BY place`)).map(({ place }) => place)

it('writes what goes with the commit after all the rest, in order, and tells afterwards', async () => {
  const told: string[] = []

  const result = await database.db.transaction(async (tx) => {
    tx.withCommit(() => {
      told.push('made')
      return sql`UPDATE notes SET text = 'last' WHERE place = 2`
    })
    tx.withCommit(() => write(3))
    tx.afterCommit(() => told.push('committed'))
    await tx.run(write(1))
    await tx.run(write(2))
    told.push('done')
    return 'result'
  })

  expect(result).toBe('result')
  expect(told).toEqual(['done', 'made', 'committed'])
  expect(await database.db.rows(sql`SELECT place FROM notes WHERE text = 'last'`)).toEqual([{ place: 2 }])
  expect(await written()).toEqual([1, 2, 3])
})

/** The only one of the pool; the next statement gets a new one. */
async function loseConnection(): Promise<void> {
  const lost = database.db.run(sql`SELECT pg_terminate_backend(pg_backend_pid())`)
  await expect(lost).rejects.toThrow('terminating connection')
}

it.each<[string, (tx: Tx) => Promise<unknown>, string]>([
  ['the work', (tx) => tx.run(write(1)).then(() => Promise.reject(new Error('changed my mind'))), 'changed my mind'],
  ['the work, before it sends anything', () => Promise.reject(new Error('not even begun')), 'not even begun'],
  [
    'what goes with the commit',
    async (tx) => {
      tx.withCommit(() => write(1))
      tx.withCommit(() => write(2))
      await tx.run(write(1))
    },
    'notes_pkey',
  ],
  [
    'the commit itself',
    async (tx) => {
      await tx.run(sql`SET CONSTRAINTS ALL DEFERRED`)
      await tx.run(write(1))
      await tx.run(write(1))
    },
    'notes_pkey',
  ],
  ['a statement nobody heard of', (tx) => tx.run(sql`SELECT 1 / 0`).catch(() => 'never mind'), 'was ignored'],
  ['the connection', (tx) => tx.run(sql`SELECT pg_terminate_backend(pg_backend_pid())`), 'terminating connection'],
])('leaves nothing of a transaction in which %s failed, and goes on', async (_, work, message) => {
  const told: string[] = []

  // What a connection has prepared it hears in other units than what it has not.
  for (const place of [7, 8, 9]) {
    const failed = database.db.transaction(async (tx) => {
      tx.afterCommit(() => told.push('committed'))
      await work(tx)
    })

    await expect(failed).rejects.toThrow(message)
    expect(told).toEqual([])
    expect(await written()).not.toContain(1)
    await database.db.transaction(async (tx) => {
      await tx.run(write(place))
      tx.withCommit(() => write(place + 10))
    })
  }

  expect(await written()).toEqual([7, 8, 9, 17, 18, 19])
})

it('commits what goes with the commit alone, takes all of it back when one fails, and does so again and again', async () => {
  for (const place of [1, 11, 21]) {
    await database.db.transaction((tx) => {
      for (const own of [place, place + 1]) tx.withCommit(() => write(own))
      return Promise.resolve()
    })
    const failed = database.db.transaction((tx) => {
      for (const own of [place + 5, place, place + 6]) tx.withCommit(() => write(own))
      return Promise.resolve()
    })
    await expect(failed).rejects.toThrow('notes_pkey')
  }

  expect(await written()).toEqual([1, 2, 11, 12, 21, 22])
})

it('commits what goes with the commit although it returns rows', async () => {
  for (const place of [1, 3, 5]) {
    await database.db.transaction(async (tx) => {
      await tx.run(write(place))
      tx.withCommit(() => sql`INSERT INTO notes VALUES (${place + 1}, 'note') RETURNING place, text`)
    })
  }

  expect(await written()).toEqual([1, 2, 3, 4, 5, 6])
})

it('leaves nothing of a transaction that has a value which cannot be sent, wherever it comes', async () => {
  const circular: unknown[] = []
  circular.push({ circular })
  const ifNull = (value: unknown): Sql => sql`INSERT INTO notes SELECT 100 WHERE ${value}::text IS NULL`
  const impossible = ifNull(circular[0])

  for (const place of [3, 5, 7]) {
    await expect(database.db.transaction((tx) => tx.run(impossible))).rejects.toThrow('circular')
    const late = database.db.transaction(async (tx) => {
      await tx.run(write(1))
      tx.withCommit(() => write(2))
      tx.withCommit(() => impossible)
    })
    await expect(late).rejects.toThrow('circular')
    await database.db.transaction((tx) => tx.run(ifNull('nothing')))
    await database.db.transaction(async (tx) => {
      await tx.run(write(place))
      tx.withCommit(() => write(place + 1))
    })
  }

  expect(await written()).toEqual([3, 4, 5, 6, 7, 8])
})

it('runs the work again from its beginning when what goes with the commit meets a serialization failure', async () => {
  let runs = 0

  await database.db.transaction(async (tx) => {
    runs += 1
    await tx.run(write(runs))
    tx.withCommit(() => (runs < 3 ? serializationFailure : write(9)))
  })

  expect(await written()).toEqual([3, 9])
})

it('gives up after as many tries as were asked for', async () => {
  let runs = 0
  const failing = (tx: Tx): Promise<number> => {
    runs += 1
    return tx.run(serializationFailure)
  }

  await expect(database.db.transaction(failing, { retries: 2 })).rejects.toMatchObject({ code: '40001' })
  expect(runs).toBe(3)
})

const serializationFailure = sql`DO $$ BEGIN RAISE EXCEPTION 'once more' USING ERRCODE = '40001'; END $$`

it('writes nothing behind a BEGIN that is refused', async () => {
  const refused = database.db.transaction((tx) => tx.run(write(1)), { isolation: 'no such level' as 'read committed' })

  await expect(refused).rejects.toThrow('syntax error')
  expect(await written()).toEqual([])
})

it('writes nothing behind a BEGIN that is refused although it went out together with what it begins', async () => {
  await database.db.transaction((tx) => tx.run(write(1)))
  // The connection has prepared both by now; without the one, the other could still be run by itself.
  await database.db.run(sql`DEALLOCATE "BEGIN"`)

  const refused = database.db.transaction((tx) => Promise.all([tx.run(write(2)), tx.run(write(3))]))

  await expect(refused).rejects.toThrow('prepared statement "BEGIN" does not exist')
  expect(await written()).toEqual([1])
  await loseConnection()
})

it('takes or leaves together what is sent at once at the beginning, on a new connection and on one that was used', async () => {
  const failing = (tx: Tx): Promise<unknown> => Promise.all([tx.run(write(1)), tx.run(write(2)), tx.run(write(1))])

  for (const place of [3, 5]) {
    await expect(database.db.transaction(failing)).rejects.toThrow('notes_pkey')
    await database.db.transaction((tx) => Promise.all([tx.run(write(place)), tx.run(write(place + 1))]))
  }

  expect(await written()).toEqual([3, 4, 5, 6])
})

it.each([
  ['a new connection', () => loseConnection()],
  ['one that was used', () => database.db.transaction((tx) => tx.run(sql`SELECT`))],
])('sends nothing any more on %s for work that has failed, nor for work that is done', async (_, prepare) => {
  await prepare()
  let late: Promise<number> | undefined
  let done: Tx | undefined

  const failed = database.db.transaction(async (tx) => {
    const first = tx.run(write(1))
    late = tx.run(write(2))
    late.catch(() => undefined)
    await Promise.all([first, Promise.reject(new Error('changed my mind'))])
  })
  await expect(failed).rejects.toThrow('changed my mind')
  await database.db.transaction(async (tx) => {
    await tx.run(write(3))
    done = tx
  })
  let idle: Tx | undefined
  await database.db.transaction((tx) => Promise.resolve((idle = tx)))

  await expect(late).rejects.toThrow('the transaction is over')
  await expect(done!.run(write(4))).rejects.toThrow('the transaction is over')
  await expect(idle!.run(write(5))).rejects.toThrow('the transaction is over')
  await expect(done!.withClient((client) => client.query('SELECT 1'))).rejects.toThrow('the transaction is over')
  expect(await written()).toEqual([3])
})

it('gives the rows of a first statement, and of none when nothing was sent', async () => {
  const one = (): Promise<unknown> => database.db.transaction((tx) => tx.rows(sql`SELECT 1 AS one`))

  expect([await one(), await one()]).toEqual([[{ one: 1 }], [{ one: 1 }]])
  await expect(database.db.transaction(() => Promise.resolve('nothing'))).resolves.toBe('nothing')
})

it('has begun when the driver itself is asked for something first', async () => {
  const failing = database.db.transaction(async (tx) => {
    await tx.withClient((client) => client.query("INSERT INTO notes VALUES (1, 'note')"))
    throw new Error('changed my mind')
  })

  await expect(failing).rejects.toThrow('changed my mind')
  expect(await written()).toEqual([])
})

it('is answered by a server that is told to end in the middle with nothing but the truth', async () => {
  const storm = await createTestDatabase({ poolSize: 8 })
  const killer = await database.db.connect('souk killer')
  await storm.db.run(sql`CREATE TABLE pairs (id integer, side integer)`)
  const name = new URL(storm.url).pathname.slice(1)
  const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND state <> 'idle' LIMIT 1`
  const outcomes = new Map<number, boolean>()
  const until = performance.now() + 1_500
  let last = 0

  async function kill(): Promise<void> {
    while (performance.now() < until) {
      await killer.query(end)
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
  }
  async function writePairs(): Promise<void> {
    while (performance.now() < until) {
      const id = ++last
      const pair = storm.db.transaction(async (tx) => {
        await tx.run(sql`INSERT INTO pairs VALUES (${id}, 1)`)
        tx.withCommit(() => sql`INSERT INTO pairs VALUES (${id}, 2)`)
      })
      outcomes.set(
        id,
        await pair.then(
          () => true,
          () => false,
        ),
      )
    }
  }
  await Promise.all([kill(), ...Array.from({ length: 8 }, writePairs)])
  const rows = await storm.db.rows<{ id: number; sides: number }>(
    sql`SELECT id, count(*) AS sides FROM pairs GROUP BY id`,
  )
  await killer.end()
  await storm.drop()

  expect(rows.every(({ sides }) => sides === 2)).toBe(true)
  const answered = [...outcomes].filter(([, isDone]) => isDone).map(([id]) => id)
  expect(answered.length).toBeLessThan(outcomes.size)
  expect(rows.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(answered.toSorted((a, b) => a - b))
})
