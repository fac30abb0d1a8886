import { Type, type Static } from 'typebox'

import type { App } from '../../platform/http/app.ts'
import type { Queryable } from '../../platform/db/db.ts'
import { NotFoundError } from '../../platform/errors.ts'
import { fetchPage, pageQuerySchema, pageSchema, presentPage, readPageRequest } from '../../platform/http/paging.ts'
import { uuidParam } from '../../platform/http/schemas.ts'
import { listProductPage, presentProduct, productSchema } from '../catalog/index.ts'
import { usersByIds } from '../identity/index.ts'
import { listFollowed, listFollowedIds, listFollowers } from './follow-queries.ts'
import { followUser, unfollowUser } from './follows.ts'
import { presentFollower, presentFollowing } from './presenters.ts'
import { followerSchema, followingSchema } from './schemas.ts'

const tags = ['Following']
const ofOther = { path: { id: '{{otherUserId}}' } }

/** Following and the feed (store contract, section 6). */
export function socialRoutes(app: App): void {
  followRoutes(app)
  listRoutes(app)
  feedRoute(app)
}

function followRoutes(app: App): void {
  app.post(
    '/api/users/:id/follow/',
    {
      config: { errors: [400], postman: { order: 480, ...ofOther, expect: [200, 201] } },
      schema: {
        tags,
        operationId: 'followUser',
        summary: 'Follow a user',
        params: uuidParam,
        response: {
          200: Type.Object(followingSchema.properties, { description: 'You followed the user before.' }),
          201: followingSchema,
        },
      },
    },
    async ({ caller, params }, reply) => {
      const { followed, isNew } = await app.db.transaction((tx) =>
        followUser(tx, caller.userId, params.id.toLowerCase(), app.clock.now()),
      )
      return reply.code(isNew ? 201 : 200).send(presentFollowing(followed))
    },
  )

  app.delete(
    '/api/users/:id/follow/',
    {
      config: { postman: { order: 890, ...ofOther } },
      schema: {
        tags,
        operationId: 'unfollowUser',
        summary: 'Follow a user no longer',
        params: uuidParam,
        response: { 204: Type.Null() },
      },
    },
    async ({ caller, params }, reply) => {
      await app.db.transaction((tx) => unfollowUser(tx, caller.userId, params.id.toLowerCase()))
      return reply.code(204).send(null)
    },
  )
}

function listRoutes(app: App): void {
  app.get(
    '/api/users/:id/followers/',
    {
      config: { errors: [400], postman: ofOther },
      schema: {
        tags,
        operationId: 'listFollowers',
        summary: 'Who follows a user, newest first',
        params: uuidParam,
        querystring: pageQuerySchema,
        response: { 200: pageSchema(followerSchema) },
      },
    },
    async ({ params, query }) => listPage(app.db, listFollowers, params.id, query),
  )

  app.get(
    '/api/users/:id/following/',
    {
      config: { errors: [400], postman: { path: { id: '{{userId}}' } } },
      schema: {
        tags,
        operationId: 'listFollowing',
        summary: 'Whom a user follows, newest first',
        params: uuidParam,
        querystring: pageQuerySchema,
        response: { 200: pageSchema(followerSchema) },
      },
    },
    async ({ params, query }) => listPage(app.db, listFollowed, params.id, query),
  )
}

async function listPage(
  db: Queryable,
  list: typeof listFollowers | typeof listFollowed,
  id: string,
  query: Static<typeof pageQuerySchema>,
) {
  const request = readPageRequest(query)
  const userId = id.toLowerCase()
  if (!(await usersByIds(db, [userId])).has(userId)) throw new NotFoundError()
  const { offset: before, pageSize } = request
  const page = await fetchPage(
    (limit) => list(db, userId, { before, limit }),
    pageSize,
    (row) => row.followedAt,
  )
  const users = await usersByIds(
    db,
    page.rows.map((row) => row.userId),
  )
  // One who was deleted since the statement before is left out.
  const shown = page.rows.filter((row) => users.has(row.userId))
  return presentPage(request, { ...page, rows: shown }, (row) =>
    presentFollower(users.get(row.userId)!, row.followedAt),
  )
}

function feedRoute(app: App): void {
  app.get(
    '/api/feed/',
    {
      config: { errors: [400] },
      schema: {
        tags,
        operationId: 'getFeed',
        summary: 'Products of the users you follow, newest first',
        querystring: pageQuerySchema,
        response: { 200: pageSchema(productSchema) },
      },
    },
    async ({ caller, query }) => {
      const request = readPageRequest(query)
      const ownerIds = await listFollowedIds(app.db, caller.userId)
      const { offset, pageSize } = request
      const { products, offsetDate, hasNext } = await listProductPage(app.db, {
        ownerIds,
        pageSize,
        ...(offset === undefined ? {} : { before: offset }),
      })
      return presentPage(request, { rows: products, offsetDate, hasNext }, presentProduct)
    },
  )
}
