import { randomBytes } from 'node:crypto'

import type { InjectOptions } from 'fastify'

import { newId } from '../../src/platform/ids.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { feed, filePart, item, multipart } from '../contract/product-feed-fixtures.ts'
import type { TestApp, TestUser } from '../support/app.ts'

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** A store in which there is one of everything that a list shows, or as many as a page or a request may hold. */
export interface World {
  test: TestApp
  size: number
  staff: TestUser
  /** Owns the products, bears the sales, is followed by everybody and follows everybody. */
  seller: TestUser
  /** Has placed the orders and has the lines in the bag. */
  buyer: TestUser
  tagIds: string[]
  /** With the variant `default`; each bears every tag. */
  productIds: string[]
  orderId: string
  importId: string
  /** Of a product that came with a feed. */
  feedId: string
  /** Text that no other call returns. */
  unique: () => string
  /** A request of its own, before the one that is counted; returns the answer's body. */
  prepare: (request: InjectOptions) => Promise<Record<string, unknown>>
  /** Places an order for as many products as the world has; returns its id. */
  order: () => Promise<string>
}

export function call(method: Method, url: string, user?: TestUser, payload?: object): InjectOptions {
  return {
    method,
    url,
    ...(user === undefined ? {} : { headers: user.headers }),
    ...(payload === undefined ? {} : { payload }),
  }
}

export async function createWorld(test: TestApp, size: number): Promise<World> {
  const [staff, seller, buyer] = [await test.staff(), await test.signUp(), await test.signUp()]
  const prepare = async (request: InjectOptions): Promise<Record<string, unknown>> => {
    const response = await test.inject(request)
    if (response.statusCode >= 400) throw new Error(`${JSON.stringify(request.url)} answered ${response.body}`)
    return response.body === '' ? {} : response.json<Record<string, unknown>>()
  }
  const create = async (url: string, user: TestUser, bodyOf: (n: number) => object): Promise<string[]> => {
    const made: string[] = []
    for (let n = 0; n < size; n++) made.push(String((await prepare(call('POST', url, user, bodyOf(n)))).id))
    return made
  }
  const unique = (): string => randomBytes(6).toString('hex')

  const tagIds = await create('/api/tags/', staff, (n) => ({ name: unique(), description: `Tag ${n}` }))
  const stock = { default: 100_000 }
  const productIds = await create('/api/products/', seller, (n) => ({
    title: `Linen shirt ${n}`,
    description: 'A light shirt.',
    price: 1_000,
    stock,
    tags: tagIds,
  }))
  const order = async (): Promise<string> => {
    const products = productIds.map((id) => ({ id, quantity: 1 }))
    return String((await prepare(call('POST', '/api/orders/', buyer, { products }))).id)
  }
  const orderIds: string[] = []
  for (let n = 0; n < size; n++) orderIds.push(await order())
  await follow(test, seller, size)
  const job = await prepare(feedUpload('/api/imports/', seller, size))
  const { feedIds, ...upload } = feedUpload('/upload-products/', seller, size)
  await prepare(upload)
  return {
    test,
    size,
    staff,
    seller,
    buyer,
    tagIds,
    productIds,
    orderId: orderIds[0]!,
    importId: String(job.id),
    feedId: feedIds[0]!,
    unique,
    prepare,
    order,
  }
}

/** The seller follows `size` users and is followed by them; signing up so many would take long. */
async function follow(test: TestApp, seller: TestUser, size: number): Promise<void> {
  const ids = Array.from({ length: size }, () => newId())
  await test.db.run(sql`
    INSERT INTO users (id, username, password_hash) SELECT id, 'followed-' || id, 'none' FROM unnest(${ids}::uuid[]) AS u (id)`)
  for (const [follower, followed] of [
    [ids, ids.map(() => seller.userId)],
    [ids.map(() => seller.userId), ids],
  ])
    await test.db.run(sql`
      INSERT INTO follows (id, follower_id, followed_id, followed_at)
      SELECT gen_random_uuid(), follower, followed, now() - place * interval '1 ms'
      FROM unnest(${follower}::uuid[], ${followed}::uuid[]) WITH ORDINALITY AS f (follower, followed, place)`)
}

/** An upload of a feed with so many items that nobody has uploaded before; `feedIds` are those in it. */
export function feedUpload(url: string, user: TestUser, size: number): InjectOptions & { feedIds: string[] } {
  const feedIds = Array.from({ length: size }, () => randomBytes(6).toString('hex'))
  const { headers, payload } = multipart(filePart(feed(...feedIds.map((id) => item(id)))))
  return { method: 'POST', url, headers: { ...headers, ...user.headers }, payload, feedIds }
}
