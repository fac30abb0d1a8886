import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import { sql } from '../../platform/db/sql.ts'
import { endFollowsSweep } from './departures.ts'
import { countFollows, foldFollowCounts, foldFollowCountsSweep } from './follow-counts.ts'

let souk: TestApp
let reader: TestUser
beforeAll(async () => {
  // The api role alone: its sweeps run when the test says so.
  souk = await startTestApp({ role: 'api' })
  reader = await souk.signUp()
})
afterAll(() => souk.close())

const get = async (url: string) => (await souk.inject({ method: 'GET', url, headers: reader.headers })).json()
const leave = ({ userId, headers }: TestUser) => souk.inject({ method: 'DELETE', url: `/api/user/${userId}/`, headers })
const followsOf = async (userId: string) =>
  (await souk.db.rows(sql`SELECT FROM follows WHERE ${userId} IN (follower_id, followed_id)`)).length
const endings = (userId: string) =>
  souk.db.rows<{ heardBy: number }>(sql`
    SELECT cardinality(audience) AS "heardBy" FROM outbox
    WHERE topic = 'social.follows.ended' AND subject_id = ${userId} ORDER BY seq`)

/** As many who follow the user, and as many whom the user follows, as one statement of each would have left them. */
async function surround(userId: string, count: number): Promise<void> {
  await souk.db.run(sql`
    WITH people AS (
      INSERT INTO users (id, username, password_hash)
      SELECT gen_random_uuid(), 'person-' || gen_random_uuid(), '' FROM generate_series(1, ${count}::int) RETURNING id
    ), added AS (
      INSERT INTO follows (id, follower_id, followed_id, followed_at)
      SELECT gen_random_uuid(), id, ${userId}::uuid, now() FROM people
      UNION ALL SELECT gen_random_uuid(), ${userId}::uuid, id, now() FROM people
      RETURNING follower_id, followed_id
    ), counted AS (${countFollows(sql`added`, 1)})
    SELECT FROM added`)
}

describe('endFollowsSweep', () => {
  it('removes what the deletion left, and is done when it runs again', async () => {
    const star = await souk.signUp()
    await surround(star.userId, 400)
    await leave(star)
    const left = await followsOf(star.userId)
    const sweep = endFollowsSweep(souk)

    await sweep.run()
    const told = await endings(star.userId)
    await sweep.run()

    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(800)
    expect(await followsOf(star.userId)).toBe(0)
    expect(told.reduce((sum, { heardBy }) => sum + heardBy, 0)).toBeGreaterThanOrEqual(400)
    expect(await endings(star.userId)).toEqual(told)
    expect(await souk.db.rows(sql`SELECT FROM departed_users`)).toEqual([])
  })

  it('lets two processes do it at the same time', async () => {
    const star = await souk.signUp()
    await surround(star.userId, 600)
    await leave(star)

    await Promise.all([endFollowsSweep(souk).run(), endFollowsSweep(souk).run()])
    await endFollowsSweep(souk).run()

    expect(await followsOf(star.userId)).toBe(0)
    const wrong = await souk.db.rows(sql`
      SELECT user_id FROM follow_counts GROUP BY user_id HAVING sum(followers) < 0 OR sum(following) < 0`)
    expect(wrong).toEqual([])
  })

  it('is not needed for the deleted user to be hidden', async () => {
    const star = await souk.signUp()
    await surround(star.userId, 400)
    const other = await souk.db.row<{ id: string }>(sql`
      SELECT followed_id AS id FROM follows WHERE follower_id = ${star.userId} ORDER BY followed_at DESC, id LIMIT 1`)
    await leave(star)
    await souk.db.run(sql`
      INSERT INTO follows (id, follower_id, followed_id, followed_at)
      VALUES (gen_random_uuid(), ${star.userId}, ${other!.id}, now()) ON CONFLICT DO NOTHING`)

    expect((await get(`/api/users/${other!.id}/followers/`)).data).toEqual([])
    expect((await get(`/api/users/${other!.id}/following/`)).data).toEqual([])
  })
})

describe('foldFollowCounts', () => {
  it('leaves one row per user and the same counts, run once or twice', async () => {
    const star = await souk.signUp()
    await surround(star.userId, 30)
    const profile = () => get(`/api/users/${star.userId}/`)
    const rows = () => souk.db.rows(sql`SELECT is_folded FROM follow_counts WHERE user_id = ${star.userId}`)
    const before = await profile()

    await foldFollowCountsSweep(souk).run()
    const folded = await souk.db.transaction(foldFollowCounts)

    expect(before).toMatchObject({ followers_count: 30, following_count: 30, is_followed: false })
    expect(await profile()).toEqual(before)
    expect(await rows()).toEqual([{ is_folded: true }])
    expect(folded).toBe(0)
  })

  it('leaves a process that folds at the same time alone', async () => {
    const star = await souk.signUp()
    await surround(star.userId, 5)

    const other = await souk.db.transaction(async (tx) => {
      await foldFollowCounts(tx)
      return souk.db.transaction(foldFollowCounts)
    })

    expect(other).toBe(0)
    expect(await get(`/api/users/${star.userId}/`)).toMatchObject({ followers_count: 5 })
  })
})
