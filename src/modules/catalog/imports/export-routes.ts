import { Readable } from 'node:stream'

import { Type } from 'typebox'

import type { Db } from '../../../platform/db/db.ts'
import type { App } from '../../../platform/http/app.ts'
import { listFeedProductsForExport } from '../feed-products.ts'
import type { FeedProduct } from '../feed/feed-item.ts'
import { writeFeed } from '../feed/write-feed.ts'

/** Products fetched at once; with descriptions of the longest kind about 50 MB, with usual ones half a megabyte. */
const PAGE = 250

const exportQuery = Type.Object({
  owner_user_id: Type.Optional(Type.String({ format: 'uuid', description: 'Only the products of this user.' })),
  mine: Type.Optional(Type.Boolean({ description: 'Only your own products.' })),
})

/** `GET /api/products/feed.xml`: the catalogue as a feed that another Souk imports to the same products. */
export function registerExportRoute(app: App): void {
  app.get(
    '/api/products/feed.xml',
    {
      schema: {
        tags: ['Imports'],
        summary: 'Export the catalogue as a product feed',
        operationId: 'exportFeed',
        querystring: exportQuery,
        response: {
          200: {
            description: 'The feed.',
            content: { 'application/xml': { schema: Type.Unsafe<Readable>(Type.String()) } },
          },
        },
      },
      config: { errors: [400] },
    },
    async (request, reply) => {
      const { owner_user_id: owner, mine } = request.query
      const ownerId = mine === true ? request.caller.userId : owner
      reply.type('application/xml; charset=utf-8')
      return reply.send(Readable.from(writeFeed(exportedProducts(app.db, ownerId)), { highWaterMark: 2 }))
    },
  )
}

/** In steps by id, each a statement of its own: a slow client holds neither a connection nor a transaction. */
async function* exportedProducts(db: Db, ownerId: string | undefined): AsyncGenerator<FeedProduct> {
  let after = ''
  for (;;) {
    const products = await listFeedProductsForExport(db, { after, ownerId, limit: PAGE })
    yield* products
    if (products.length < PAGE) return
    after = products.at(-1)!.feedId
  }
}
