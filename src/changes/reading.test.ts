import { afterAll, beforeAll, expect, it } from 'vitest'

import { note, noteErased, startChangeLog, type TestLog } from '../../test/support/changes.ts'
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import type { Tx } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'
import { recordChange, type AudienceKey, type ReadQuery } from './index.ts'

const ann: AudienceKey = 'user:0193a000-0000-7000-8000-000000000001'
const ben: AudienceKey = 'user:0193a000-0000-7000-8000-000000000002'
const team: AudienceKey = 'account:0193a000-0000-7000-8000-000000000003'

let database: TestDatabase
let log: TestLog

beforeAll(async () => {
  database = await createTestDatabase()
  log = await startChangeLog(database.db)
  await note(database.db, 'one', { audience: ['public'] })
  await note(database.db, 'two', { audience: [ann] })
  await note(database.db, 'three', { audience: [ann, ben] })
  await note(database.db, 'four', { audience: ['public', ben] })
  await note(database.db, 'five', { audience: ['staff', team] })
  await database.db.transaction((tx) =>
    recordChange(tx, { topic: noteErased, subjectId: '6', actor: null, audience: [ann], data: { text: 'six' } }),
  )
  await log.drain()
})

afterAll(async () => {
  await log.stop()
  await database.drop()
})

async function texts(query: Partial<ReadQuery>): Promise<string[]> {
  const changes = await log.changeLog.read(database.db, { after: 0, upTo: 6, audience: 'all', limit: 100, ...query })
  return changes.map((change) => (change.data as { text: string }).text)
}

it.each<[string, Partial<ReadQuery>, string]>([
  ['everything', {}, 'one two three four five six'],
  ['what follows a position', { after: 2 }, 'three four five six'],
  ['what comes up to a position', { upTo: 3 }, 'one two three'],
  ['at most a limit, the first ones', { limit: 2, after: 1 }, 'two three'],
  ['nothing after the head', { after: 6 }, ''],
  ['what is public', { audience: ['public'] }, 'one four'],
  ['what has one of the keys, each once and in order', { audience: ['public', ann, ben] }, 'one two three four six'],
  ['what has a private key, although it is public, too', { audience: [ben] }, 'three four'],
  ['what is for an account', { audience: [team] }, 'five'],
  ['nothing for nobody', { audience: [] }, ''],
  ['a topic by name', { topics: ['test.note.erased'] }, 'six'],
  ['topics by their beginning', { topics: ['test.note.w*'] }, 'one two three four five'],
  ['all topics by a star', { topics: ['*'] }, 'one two three four five six'],
  ['no topics when none is asked for', { topics: [] }, ''],
  ['topics and keys together', { topics: ['test.note.erased'], audience: ['public', ann] }, 'six'],
  ['a page of keys, the first ones', { audience: ['public', ann], limit: 3, after: 1 }, 'two three four'],
  ['nothing for a pattern with signs of other languages', { topics: ['%', '_*', 'test.note.%'] }, ''],
])('reads %s', async (_what, query, expected) => {
  expect((await texts(query)).join(' ')).toBe(expected)
})

/** Rows of the log that the statements of a transaction have fetched so far. */
async function fetchedRows(tx: Tx): Promise<number> {
  const row = await tx.row<{ rows: number }>(sql`
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint AS rows FROM pg_stat_xact_user_tables
    WHERE relname ~ '^(changes|change_audiences)_[0-9]'`)
  return row!.rows
}

it('does not look through the changes of others for a reader who has few', async () => {
  await database.db.run(sql`
    INSERT INTO outbox (id, topic, subject_type, subject_id, key, audience, data)
    SELECT gen_random_uuid(), 'test.note.written', 'note', n::text, n::text, CASE n % 2 WHEN 0 THEN '{public}' ELSE ${`{${ann}}`}::text[] END, '{"text": ""}'
    FROM generate_series(1, 30000) n`)
  await note(database.db, 'rare', { audience: [ben] })
  await log.drain()

  const fetched = await database.db.transaction(async (tx) => {
    await log.changeLog.read(tx, { after: 6, audience: [ben], limit: 100 })
    await log.changeLog.read(tx, { after: 6, audience: ['public', ben], topics: ['test.note.erased'], limit: 100 })
    await log.changeLog.read(tx, { after: 6, audience: 'all', topics: ['test.note.erased'], limit: 100 })
    return fetchedRows(tx)
  })

  expect(await texts({ after: 6, upTo: Number.MAX_SAFE_INTEGER, audience: [ben] })).toEqual(['rare'])
  expect(fetched).toBeGreaterThan(0)
  expect(fetched).toBeLessThan(300)
})
