import { afterAll, beforeAll, expect, it } from 'vitest'

import { note, startChangeLog, type TestLog } from '../../test/support/changes.ts'
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import type { Change, ChangeLog } from './index.ts'

let database: TestDatabase
let log: TestLog
let readings = 0

beforeAll(async () => {
  database = await createTestDatabase({
    onStatement: (text) => {
      if (text.includes('read_changes')) readings += 1
    },
  })
  log = await startChangeLog(database.db)
})

afterAll(async () => {
  await log.stop()
  await database.drop()
})

const positions = (changes: readonly Change[]): number[] => changes.map((change) => change.position)
const counting = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index)

/** Follows as realtime does: reads on until it has caught up, whenever the log has grown. */
function follower(changeLog: ChangeLog, from: number): { seen: number[]; stop: () => Promise<void> } {
  const seen: number[] = []
  let position = from
  let reading = Promise.resolve()
  async function readOn(): Promise<void> {
    while (position < changeLog.reached) {
      const changes = await changeLog.follow(position)
      seen.push(...positions(changes))
      position = changes.at(-1)?.position ?? position
    }
  }
  const stopListening = changeLog.onAdvance(() => {
    reading = reading.then(readOn)
  })
  return {
    seen,
    stop: () => {
      stopListening()
      return reading
    },
  }
}

it('reads the log once for all who follow it, sockets and subscribers', async () => {
  const { position } = await log.changeLog.head()
  const heard: number[] = []
  for (const name of ['one', 'two', 'three'])
    await log.run({
      name,
      topics: name === 'one' ? ['test.note.written'] : ['test.other.*'],
      mode: 'batch',
      handle: (_tx, changes) => Promise.resolve(void heard.push(...positions(changes))),
    })
  const followers = [follower(log.changeLog, position), follower(log.changeLog, position)]
  await note(database.db, 'first')
  await log.drain()
  readings = 0

  for (const text of ['second', 'third', 'fourth']) {
    await note(database.db, text)
    await log.drain()
  }
  for (const one of followers) await one.stop()

  expect(readings).toBe(3)
  expect(heard).toEqual(counting(position + 1, 4))
  expect(followers.map(({ seen }) => seen)).toEqual([heard, heard])
})

it('gives every follower everything in order while others write, whoever reads first', async () => {
  const { position } = await log.changeLog.head()
  const followers = Array.from({ length: 4 }, () => follower(log.changeLog, position))

  await Promise.all(counting(0, 8).map((writer) => write(writer, 150)))
  await log.drain()
  for (const one of followers) await one.stop()

  for (const { seen } of followers) expect(seen).toEqual(counting(position + 1, 8 * 150))
})

async function write(writer: number, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await note(database.db, `${writer} wrote ${n}`)
}

it('reads what lies farther back for the one who asks for it, a page at a time', async () => {
  const { position } = await log.changeLog.head()

  const [old, newest, none] = [
    await log.changeLog.follow(0),
    await log.changeLog.follow(position - 3),
    await log.changeLog.follow(position),
  ]

  expect(positions(old)).toEqual(counting(1, 500))
  expect(positions(newest)).toEqual(counting(position - 2, 3))
  expect(none).toEqual([])
})
