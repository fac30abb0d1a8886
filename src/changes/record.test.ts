import { Type } from 'typebox'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { note, noteErased, noteWritten, startChangeLog, type TestLog } from '../../test/support/changes.ts'
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { sql } from '../platform/db/sql.ts'
import { defineTopic, recordChange, recordChanges } from './index.ts'
import type { AudienceKey, Change } from './index.ts'

let database: TestDatabase
let log: TestLog

beforeAll(async () => {
  database = await createTestDatabase()
  log = await startChangeLog(database.db)
})

afterAll(async () => {
  await log.stop()
  await database.drop()
})

const ann: AudienceKey = 'user:0193a000-0000-7000-8000-000000000001'
const actor = '0193a000-0000-7000-8000-000000000001'

async function lastChanges(count: number): Promise<Change[]> {
  await log.drain()
  const { position } = await log.changeLog.head()
  return log.changeLog.read(database.db, { after: position - count, audience: 'all', limit: count })
}

it('puts a committed change into the log with everything that was said about it', async () => {
  const id = await database.db.transaction((tx) =>
    recordChange(tx, {
      topic: noteWritten,
      subjectId: 'n1',
      actor,
      audience: [ann, 'staff', ann],
      data: { text: 'x' },
    }),
  )

  const [change] = await lastChanges(1)

  expect(change).toEqual({
    position: expect.any(Number),
    id,
    topic: 'test.note.written',
    subject: { type: 'note', id: 'n1' },
    key: 'note:n1',
    actor,
    audience: [ann, 'staff'],
    data: { text: 'x' },
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
  })
})

it('leaves nothing of a transaction that is rolled back', async () => {
  const before = (await lastChanges(0), await log.changeLog.head()).position
  const failing = database.db.transaction(async (tx) => {
    await recordChange(tx, {
      topic: noteWritten,
      subjectId: 'no',
      actor: null,
      audience: ['public'],
      data: { text: '' },
    })
    throw new Error('no')
  })

  await expect(failing).rejects.toThrow('no')
  await log.drain()

  expect((await log.changeLog.head()).position).toBe(before)
})

it('records several changes of several topics in one statement and in order', async () => {
  const common = { subjectId: 'n2', actor: null, audience: ['public'] satisfies AudienceKey[] }
  const ids = await database.db.transaction((tx) =>
    recordChanges(tx, [
      { ...common, topic: noteWritten, data: { text: 'first' } },
      { ...common, topic: noteErased, key: 'own', data: { text: 'second' } },
      { ...common, topic: noteWritten, data: { text: 'third' } },
    ]),
  )

  const changes = await lastChanges(3)

  expect(changes.map((change) => change.id)).toEqual(ids)
  expect(changes.map((change) => change.topic)).toEqual(['test.note.written', 'test.note.erased', 'test.note.written'])
  expect(changes.map((change) => change.key)).toEqual(['note:n2', 'own', 'note:n2'])
})

it('keeps the order of changes that are too long to wait for the commit', async () => {
  const count = 40
  const ids = await database.db.transaction(async (tx) => {
    const recorded: string[] = []
    for (let n = 0; n < count; n++) {
      const data = { text: String(n).padEnd(12_000) }
      recorded.push(
        await recordChange(tx, { topic: noteWritten, subjectId: 'long', actor: null, audience: ['public'], data }),
      )
    }
    return recorded
  })

  const changes = await lastChanges(count)

  expect(changes.map((change) => change.id)).toEqual(ids)
  expect(changes.map(({ data }) => parseInt((data as { text: string }).text, 10))).toEqual([...ids.keys()])
})

it('keeps text that the database cannot hold as replacement characters', async () => {
  await note(database.db, 'a\u0000b\ud800c\udc00d\ud83d\ude00', { key: 'odd' })

  const [change] = await lastChanges(1)

  expect(change!.data).toEqual({ text: 'a\ufffdb\ufffdc\ufffdd\ud83d\ude00' })
})

const shape = defineTopic({
  ...noteWritten,
  name: 'test.shape.drawn',
  data: Type.Object({
    size: Type.Integer(),
    at: Type.Optional(Type.Object({ x: Type.Number() })),
    corners: Type.Optional(Type.Array(Type.Object({ x: Type.Number() }))),
  }),
})

it.each([
  ['a missing member', {}, 'size'],
  ['a wrong type', { size: 'secret text' }, '/size'],
  ['an unknown member', { size: 1, hash: 'secret text' }, 'additional'],
  ['an unknown member deep inside', { size: 1, at: { x: 1, hash: 'secret text' } }, 'additional'],
  ['an unknown member in a list', { size: 1, corners: [{ x: 1 }, { x: 2, hash: 'secret text' }] }, 'additional'],
])('refuses data with %s, without repeating the value', async (_what, data, text) => {
  const recording = database.db.transaction((tx) =>
    recordChange(tx, {
      topic: shape,
      subjectId: '1',
      actor: null,
      audience: ['public'],
      data: data as { size: number },
    }),
  )

  await expect(recording).rejects.toThrow(text)
  await expect(recording).rejects.not.toThrow('secret text')
})

it('refuses data of more than 16 KiB, counted in bytes', async () => {
  const fitting = 'é'.repeat(8_000)

  await note(database.db, fitting, { key: 'large' })

  await expect(note(database.db, `${fitting}${'é'.repeat(200)}`, { key: 'large' })).rejects.toThrow('at most 16384')
})

it.each([[[]], [['everyone']], [['user:1']], [['user:{"x"}']]])('refuses the audience %j', async (audience) => {
  await expect(note(database.db, 'x', { audience: audience as AudienceKey[] })).rejects.toThrow('audience')
})

it('commits nothing of a transaction whose change was refused', async () => {
  const recording = database.db.transaction(async (tx) => {
    await tx.run(sql`INSERT INTO change_topics (name) VALUES ('test.should.vanish')`)
    await recordChange(tx, { topic: noteWritten, subjectId: '1', actor: null, audience: [], data: { text: '' } })
  })

  await expect(recording).rejects.toThrow('audience')

  expect(await database.db.row(sql`SELECT FROM change_topics WHERE name = 'test.should.vanish'`)).toBeUndefined()
})

it('refuses a topic whose name is not module.noun.past-tense', () => {
  expect(() => defineTopic({ ...noteWritten, name: 'test.note' })).toThrow('past-tense')
})
