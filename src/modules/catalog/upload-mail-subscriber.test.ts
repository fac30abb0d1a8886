import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import type { Change } from '../../changes/index.ts'
import { newId } from '../../platform/ids.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { feedProduct } from './feed-product.fixture.ts'
import { uploadMailSubscriber } from './upload-mail-subscriber.ts'
import { recordFailedUpload, storeUpload } from './uploads.ts'

let database: TestDatabase
const now = new Date('2026-01-31T09:15:02.000Z')

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

async function insertAdmin(): Promise<Caller> {
  const userId = newId()
  await database.db.run(sql`
    INSERT INTO users (id, username, email, password_hash, is_staff, is_superuser)
    VALUES (${userId}, ${userId}, ${`${userId}@example.com`}, '', true, true)`)
  return {
    userId,
    username: userId,
    email: null,
    isStaff: true,
    isSuperuser: true,
    scopes: ['read', 'write'],
    signInId: null,
    via: 'token',
  }
}

/** The recorded changes as the log would hand them over. */
async function recorded(): Promise<Change[]> {
  return database.db.rows<Change>(sql`
    SELECT seq AS position, id, topic, json_build_object('type', subject_type, 'id', subject_id) AS subject, key, actor,
      audience, data, recorded_at AS time FROM outbox ORDER BY seq`)
}

const queued = async () =>
  (await database.db.row<{ n: number }>(sql`SELECT count(*) AS n FROM deliveries WHERE kind = 'mail'`))!.n

it('queues nothing new when the same changes come again', async () => {
  const uploader = await insertAdmin()
  await insertAdmin()
  const products = Array.from({ length: 120 }, (_, n) => feedProduct(`mail-${n}`))
  await database.db.transaction((tx) =>
    storeUpload(
      tx,
      uploader,
      'feed.xml',
      {
        feedIds: products.map((product) => product.feedId),
        problems: { count: 0, firstIds: [] },
        chunks: async function* () {
          yield products
        },
      },
      now,
    ),
  )
  await database.db.transaction((tx) => recordFailedUpload(tx, uploader, 'bad.xml', 'broken', now))
  const changes = await recorded()

  await database.db.transaction((tx) => uploadMailSubscriber.handle(tx, changes))
  const once = await queued()
  await database.db.transaction((tx) => uploadMailSubscriber.handle(tx, changes))

  expect(once).toBe(2 * 120 + 2)
  expect(await queued()).toBe(once)
})
