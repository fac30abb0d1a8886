import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { clientOf, NOTHING, OAUTH_ENV, readOnlyClient, sell, type StoreClient } from './store-client.ts'

interface Person {
  user: TestUser
  as: StoreClient
  id: string
}

interface Page<Item> {
  metadata: { page_size: number; offset_date: string | null; has_next: boolean }
  data: Item[]
}

interface Follower {
  id: string
  username: string
  date_joined: string
  followed_at: string
}

let souk: TestApp
let ada: Person
let ben: Person
let anonymous: StoreClient

beforeAll(async () => {
  souk = await startTestApp({ env: OAUTH_ENV })
  ada = await join()
  ben = await join()
  anonymous = clientOf(souk, {})
})
afterAll(() => souk.close())

async function join(): Promise<Person> {
  const user = await souk.signUp()
  return { user, as: clientOf(souk, user.headers), id: user.userId }
}

const follow = (who: Person, whom: Person) => who.as.post(`/api/users/${whom.id}/follow/`)
const unfollow = (who: Person, whom: Person) => who.as.delete(`/api/users/${whom.id}/follow/`)
const leave = (who: Person) => who.as.delete(`/api/user/${who.id}/`)
const read = async <Item>(who: Person, url: string): Promise<Page<Item>> => (await who.as.get(url)).json<Page<Item>>()
const idsOf = (page: Page<{ id: string }>) => page.data.map(({ id }) => id)
const socialChanges = (userId: string) =>
  souk.db.rows(sql`SELECT topic, actor, audience, data FROM outbox
    WHERE topic LIKE 'social.%' AND ${`user:${userId}`} = ANY(audience) ORDER BY seq`)

/** People who never sign in; `followedAt` seconds after the first minute of 2024, several may share one. */
async function addFollowers(followedId: string, seconds: number[]): Promise<void> {
  await souk.db.run(sql`
    WITH people AS (
      INSERT INTO users (id, username, password_hash)
      SELECT gen_random_uuid(), 'follower-' || gen_random_uuid(), '' FROM generate_series(1, ${seconds.length}::int) RETURNING id
    ), numbered AS (SELECT id, row_number() OVER () AS n FROM people)
    INSERT INTO follows (id, follower_id, followed_id, followed_at)
    SELECT gen_random_uuid(), id, ${followedId}, '2024-01-01'::timestamptz + make_interval(secs => (${seconds}::int[])[n])
    FROM numbered`)
}

describe('POST /api/users/{id}/follow/', () => {
  it('answers 201 first and 200 again with the same body', async () => {
    const eve = await join()

    const first = await follow(eve, ada)
    const again = await eve.as.post(`/api/users/${ada.id.toUpperCase()}/follow`)

    const body = { following: true, user: { id: ada.id, username: ada.user.username } }
    expect([first.statusCode, first.json()]).toEqual([201, body])
    expect([again.statusCode, again.json()]).toEqual([200, body])
    expect(await socialChanges(eve.id)).toEqual([
      {
        topic: 'social.follow.created',
        actor: eve.id,
        audience: [`user:${eve.id}`, `user:${ada.id}`],
        data: { follower_id: eve.id, followed_id: ada.id },
      },
    ])
  })

  it('makes one follow of many requests at once', async () => {
    const eve = await join()

    const responses = await Promise.all(Array.from({ length: 16 }, () => follow(eve, ada)))

    expect(responses.filter(({ statusCode }) => statusCode === 201)).toHaveLength(1)
    expect(responses.filter(({ statusCode }) => statusCode === 200)).toHaveLength(15)
    expect(await socialChanges(eve.id)).toHaveLength(1)
  })

  it('answers 400 to the one more than ten thousand, not to those followed already', async () => {
    const eve = await join()
    await follow(eve, ada)
    await souk.db.run(sql`
      INSERT INTO follow_counts (user_id, followers, following, is_folded) VALUES (${eve.id}, 0, 9999, false)`)

    const [oneMore, known] = [await follow(eve, ben), await follow(eve, ada)]

    expect([oneMore.statusCode, oneMore.json().detail]).toEqual([400, 'You cannot follow more than 10000 users.'])
    expect(known.statusCode).toBe(200)
  })

  it('answers 400 to following oneself', async () => {
    const response = await follow(ada, ada)

    expect([response.statusCode, response.json().detail]).toEqual([400, 'You cannot follow yourself.'])
  })

  it.each([NOTHING, '17', 'me', '%00', 'x'.repeat(1_500)])('answers 404 to %s', async (id) => {
    expect((await ada.as.post(`/api/users/${id}/follow/`)).statusCode).toBe(404)
    expect((await ada.as.delete(`/api/users/${id}/follow/`)).statusCode).toBe(404)
    expect((await ada.as.get(`/api/users/${id}/followers/`)).statusCode).toBe(404)
    expect((await ada.as.get(`/api/users/${id}/following/`)).statusCode).toBe(404)
  })

  it('answers 404 for a deleted user, 401 to nobody and 403 without scope write', async () => {
    const eve = await join()
    await leave(eve)
    const reader = await readOnlyClient(souk, ada.user)

    expect((await follow(ada, eve)).statusCode).toBe(404)
    expect((await unfollow(ada, eve)).statusCode).toBe(404)
    expect((await ada.as.get(`/api/users/${eve.id}/followers/`)).statusCode).toBe(404)
    expect((await anonymous.post(`/api/users/${ben.id}/follow/`)).statusCode).toBe(401)
    expect((await anonymous.delete(`/api/users/${ben.id}/follow/`)).statusCode).toBe(401)
    expect((await reader.post(`/api/users/${ben.id}/follow/`)).statusCode).toBe(403)
    expect((await reader.delete(`/api/users/${ben.id}/follow/`)).statusCode).toBe(403)
    expect((await reader.get(`/api/users/${ben.id}/followers/`)).statusCode).toBe(200)
  })
})

describe('DELETE /api/users/{id}/follow/', () => {
  it('answers 204, also when there was nothing to end', async () => {
    const eve = await join()
    await follow(eve, ada)

    const responses = [await unfollow(eve, ada), await unfollow(eve, ada), await unfollow(eve, eve)]

    expect(responses.map(({ statusCode, body }) => [statusCode, body])).toEqual([
      [204, ''],
      [204, ''],
      [204, ''],
    ])
    expect(await read<Follower>(ada, `/api/users/${eve.id}/following/`)).toMatchObject({ data: [] })
    expect(await socialChanges(eve.id)).toMatchObject([
      { topic: 'social.follow.created' },
      { topic: 'social.follow.removed', actor: eve.id, data: { follower_id: eve.id, followed_id: ada.id } },
    ])
    expect((await follow(eve, ada)).statusCode).toBe(201)
  })
})

describe('the lists', () => {
  it('show followers and followed, newest first', async () => {
    const [star, first, second] = [await join(), await join(), await join()]
    await follow(first, star)
    await follow(second, star)
    await follow(star, first)

    const followers = await read<Follower>(ada, `/api/users/${star.id}/followers`)

    expect(followers.metadata).toEqual({
      page_size: 20,
      offset_date: followers.data[1]!.followed_at,
      has_next: false,
    })
    expect(followers.data).toEqual([
      {
        id: second.id,
        username: second.user.username,
        date_joined: expect.stringMatching(/\.\d{6}Z$/),
        followed_at: expect.stringMatching(/\.\d{6}Z$/),
      },
      expect.objectContaining({ id: first.id }),
    ])
    expect(idsOf(await read(ada, `/api/users/${star.id}/following/`))).toEqual([first.id])
    expect(idsOf(await read(star, `/api/users/${star.id}/following/`))).toEqual([first.id])
  })

  it('are empty for a new user', async () => {
    const eve = await join()
    const empty = { metadata: { page_size: 20, offset_date: null, has_next: false }, data: [] }

    expect(await read(eve, `/api/users/${eve.id}/followers/`)).toEqual(empty)
    expect(await read(eve, `/api/users/${eve.id}/following/`)).toEqual(empty)
    expect(await read(eve, '/api/feed/')).toEqual(empty)
  })

  it('visit every follower once, page by page, although some share their time', async () => {
    const star = await join()
    await addFollowers(star.id, [1, 2, 3, 3, 3, 3, 4, 5, 6, 7, 7])

    const pages: Page<Follower>[] = []
    for (let offset = ''; pages.at(-1)?.metadata.has_next ?? true;) {
      pages.push(await read<Follower>(ada, `/api/users/${star.id}/followers/?page_size=3${offset}`))
      offset = `&offset=${encodeURIComponent(pages.at(-1)!.metadata.offset_date!)}`
    }

    const times = pages.flatMap(({ data }) => data.map(({ followed_at }) => followed_at))
    expect(new Set(pages.flatMap(idsOf)).size).toBe(11)
    expect(times).toEqual(times.toSorted().toReversed())
    expect(pages.map(({ data }) => data.length)).toEqual([3, 6, 2])
  })

  it.each([
    ['page_size=0', 'page_size'],
    ['page_size=-1', 'page_size'],
    ['page_size=1.5', 'page_size'],
    ['page_size=x', 'page_size'],
    ['offset=yesterday', 'offset'],
    ['offset=17', 'offset'],
    ['offset=2024-02-31T00:00:00Z', 'offset'],
  ])('answer 400 to %s', async (query, field) => {
    const urls = [`/api/users/${ada.id}/followers/`, `/api/users/${ada.id}/following/`, '/api/feed/']

    const responses = await Promise.all(urls.map((url) => ada.as.get(`${url}?${query}`)))

    const found = responses.map((response) => [response.statusCode, Object.keys(response.json().errors)])
    expect(found).toEqual(urls.map(() => [400, [field]]))
  })

  it('take a page size above 100 as 100', async () => {
    const page = await read(ada, `/api/users/${ada.id}/followers/?page_size=99999999999999999999`)

    expect(page.metadata.page_size).toBe(100)
  })

  it.each(['/api/users/{id}/followers/', '/api/users/{id}/following/', '/api/feed/'])(
    'answer 401 to nobody at %s',
    async (path) => {
      expect((await anonymous.get(path.replace('{id}', ada.id))).statusCode).toBe(401)
    },
  )
})

describe('the counts of a profile', () => {
  const profile = async (who: Person, whom: Person) => (await who.as.get(`/api/users/${whom.id}/`)).json()

  it('are shown to others, exactly and at once', async () => {
    const [star, fan, idol] = [await join(), await join(), await join()]
    await Promise.all([follow(fan, star), follow(ada, star), follow(star, idol)])
    await unfollow(ada, star)

    const open = { id: star.id, username: star.user.username, date_joined: expect.any(String) }
    const counts = { followers_count: 1, following_count: 1 }
    expect(await profile(fan, star)).toEqual({ ...open, ...counts, is_followed: true })
    expect(await profile(ada, star)).toEqual({ ...open, ...counts, is_followed: false })
  })

  it('are no part of the own profile', async () => {
    const me = await ada.as.get('/api/users/me/')

    expect(Object.keys(me.json()).toSorted()).toEqual(
      ['date_joined', 'email', 'first_name', 'id', 'last_name', 'username'].toSorted(),
    )
  })
})

describe('GET /api/feed/', () => {
  const product = async (who: Person, title: string) => ({ id: await sell(who.as, { title }), title })

  it('shows the available products of those whom the caller follows, newest first', async () => {
    const [reader, seller, other, stranger] = [await join(), await join(), await join(), await join()]
    await follow(reader, seller)
    await follow(reader, other)
    const first = await product(seller, 'first')
    const hidden = await product(seller, 'withdrawn')
    const second = await product(other, 'second')
    await product(stranger, 'of a stranger')
    await product(reader, 'own')
    await seller.as.post(`/api/products/${hidden.id}/withdraw/`)

    const feed = await read<{ id: string; updated: string }>(reader, '/api/feed/')
    await unfollow(reader, other)
    const later = await read<{ id: string }>(reader, '/api/feed')

    expect(idsOf(feed)).toEqual([second.id, first.id])
    expect(feed.metadata).toEqual({ page_size: 20, offset_date: feed.data[1]!.updated, has_next: false })
    expect(feed.data[0]).toEqual((await reader.as.get(`/api/products/${second.id}/`)).json())
    expect(idsOf(later)).toEqual([first.id])
  })

  it('is paged like the list of products', async () => {
    const [reader, seller] = [await join(), await join()]
    await follow(reader, seller)
    const made = [await product(seller, 'one'), await product(seller, 'two'), await product(seller, 'three')]

    const first = await read<{ id: string }>(reader, '/api/feed/?page_size=2')
    const offset = encodeURIComponent(first.metadata.offset_date!)
    const second = await read<{ id: string }>(reader, `/api/feed/?page_size=2&offset=${offset}`)

    expect(first.metadata).toMatchObject({ page_size: 2, has_next: true })
    expect([...idsOf(first), ...idsOf(second)]).toEqual(made.map(({ id }) => id).toReversed())
    expect(second.metadata.has_next).toBe(false)
  })

  it('no longer shows a seller who was deleted', async () => {
    const [reader, seller] = [await join(), await join()]
    await follow(reader, seller)
    await product(seller, 'last')
    await leave(seller)

    expect((await read(reader, '/api/feed/')).data).toEqual([])
  })
})

describe('deleting a user', () => {
  it('removes the follows in both directions and tells the others', async () => {
    const [gone, fan, idol] = [await join(), await join(), await join()]
    await follow(fan, gone)
    await follow(gone, idol)

    await leave(gone)

    expect((await read(fan, `/api/users/${fan.id}/following/`)).data).toEqual([])
    expect((await read(fan, `/api/users/${idol.id}/followers/`)).data).toEqual([])
    expect((await fan.as.get(`/api/users/${idol.id}/`)).json()).toMatchObject({ followers_count: 0 })
    const rows = await souk.db.rows(sql`SELECT FROM follows WHERE ${gone.id} IN (follower_id, followed_id)`)
    expect(rows).toEqual([])
    const told = await socialChanges(idol.id)
    expect(told.at(-1)).toMatchObject({ topic: 'social.follows.ended', actor: null, data: { user_id: gone.id } })
  })

  it('never leaves a follow behind, whatever happens at the same moment', async () => {
    const pairs = await Promise.all(Array.from({ length: 8 }, async () => [await join(), await join()] as const))

    const outcomes = await Promise.all(
      pairs.flatMap(([fan, star]) => [follow(fan, star), leave(star), follow(star, fan), leave(fan)]),
    )

    expect(outcomes.map(({ statusCode }) => statusCode).filter((status) => status >= 500)).toEqual([])
    const ids = pairs.flatMap((pair) => pair.map(({ id }) => id))
    const rows = await souk.db.rows(
      sql`SELECT FROM follows WHERE follower_id = ANY(${ids}) OR followed_id = ANY(${ids})`,
    )
    expect(rows).toEqual([])
  })
})
