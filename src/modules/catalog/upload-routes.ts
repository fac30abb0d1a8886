import type { IncomingMessage } from 'node:http'

import { InvalidError } from '../../platform/errors.ts'
import { faultPoint } from '../../platform/fault.ts'
import type { App } from '../../platform/http/app.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { isFeedError, type FeedError } from './feed/read-feed.ts'
import { receiveUpload } from './receive-upload.ts'
import { exampleUpload, uploadForm, uploadResponse } from './schemas.ts'
import { createSlots, type Slots } from './slots.ts'
import { openSpoolFile, type SpoolFile } from './spool.ts'
import { planUpload } from './upload-plan.ts'
import { problematicIds, recordFailedUpload, storeUpload, type UploadResult } from './uploads.ts'

/** Uploads in their transaction at once, so that a crowd of them leaves database connections to everybody else. */
const STORING_AT_ONCE = 2

/** `POST /upload-products/` (product-feed contract, section 3). */
export function registerUploadRoutes(app: App): void {
  const slots = createSlots(STORING_AT_ONCE)
  app.post(
    '/upload-products/',
    {
      schema: {
        tags: ['Product feed'],
        summary: 'Upload a product feed',
        description:
          'XML in the part `file`. Each item is independent; nothing is stored of a file that is not well-formed.',
        operationId: 'uploadProducts',
        response: { 201: uploadResponse },
      },
      config: {
        bodyTypes: ['multipart/form-data'],
        streamSchema: uploadForm,
        flatFieldErrors: true,
        postman: { raw: exampleUpload, order: 200, save: { feedProductId: 'created_product_ids.0' } },
      },
    },
    async (request, reply) => {
      const body = request.body as IncomingMessage | undefined
      if (body === undefined) throw new InvalidError('No file provided')
      const feed = await openSpoolFile(app.config.dataDir)
      const products = await openSpoolFile(app.config.dataDir)
      try {
        const result = await upload(app, slots, request.caller, body, { feed, products })
        return await reply.code(201).send(presentUpload(result))
      } finally {
        await Promise.all([feed.close(), products.close()])
      }
    },
  )
}

/** Receive, plan, store: only the last step holds a database connection. */
async function upload(
  app: App,
  slots: Slots,
  caller: Caller,
  body: IncomingMessage,
  spool: { feed: SpoolFile; products: SpoolFile },
): Promise<UploadResult> {
  const { fileName, error } = await receiveUpload(body, spool.feed, app.config.maxUploadBytes)
  if (error !== undefined) return refuse(app, caller, fileName, error)
  const plan = await planUpload(spool.feed.read(), spool.products).catch((thrown: unknown) => {
    if (isFeedError(thrown)) return thrown
    throw thrown
  })
  if (isFeedError(plan)) return refuse(app, caller, fileName, plan)

  const result = await slots.run(() =>
    app.db.transaction(async (tx) => {
      const stored = await storeUpload(tx, caller, fileName, plan, app.clock.now())
      faultPoint('upload-before-commit')
      return stored
    }),
  )
  faultPoint('upload-after-commit')
  return result
}

const MAX_REASON = 500

async function refuse(app: App, caller: Caller, fileName: string, error: FeedError): Promise<never> {
  const reason = error.message.slice(0, MAX_REASON).toWellFormed()
  await app.db.transaction((tx) => recordFailedUpload(tx, caller, fileName, reason, app.clock.now()))
  throw new InvalidError(reason)
}

function presentUpload({ created, existing, problems }: UploadResult) {
  return {
    message: 'Products uploaded successfully' as const,
    created_product_ids: created.map((product) => product.feedId),
    existing_product_ids: existing,
    problematic_product_ids: problematicIds(problems),
    problems,
  }
}
