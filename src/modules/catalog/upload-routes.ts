import { Readable } from 'node:stream'

import { Type } from 'typebox'

import { InvalidError } from '../../platform/errors.ts'
import { faultPoint } from '../../platform/fault.ts'
import type { App } from '../../platform/http/app.ts'
import type { BodyStream } from '../../platform/http/read-body.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { createSlots, type Slots } from '../../platform/slots.ts'
import { isFeedError, type FeedError } from './feed/read-feed.ts'
import { receiveUpload } from './receive-upload.ts'
import { exampleUpload, uploadForm, uploadResponse } from './schemas.ts'
import { openSpoolFile, type SpoolFile } from './spool.ts'
import { writeUploadAnswer } from './upload-answer.ts'
import { planUpload, type UploadPlan, type UploadSpool } from './upload-plan.ts'
import { recordFailedUpload, storeUpload, type UploadResult } from './uploads.ts'

/** Sent as a stream, see `writeUploadAnswer`. */
const streamedUpload = Type.Unsafe<Readable>(uploadResponse)

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
        response: {
          201: {
            description: 'What became of each item.',
            content: { 'application/json': { schema: streamedUpload } },
          },
        },
      },
      config: {
        bodyTypes: ['multipart/form-data'],
        streamSchema: uploadForm,
        flatFieldErrors: true,
        postman: { raw: exampleUpload, order: 200, save: { feedProductId: 'created_product_ids.0' } },
      },
    },
    async (request, reply) => {
      const body = request.body as BodyStream | undefined
      if (body === undefined) throw new InvalidError('No file provided')
      const spool = await openUploadSpool(app.config.dataDir)
      try {
        const { plan, result } = await upload(app, slots, request.caller, body, spool)
        const answer = Readable.from(writeUploadAnswer(result, plan.problemLists))
        // Whether it was sent to its end or the client went away before.
        answer.once('close', () => void spool.close())
        return await reply.code(201).type('application/json; charset=utf-8').send(answer)
      } catch (error) {
        await spool.close()
        throw error
      }
    },
  )
}

/** The files without names that one upload needs; `close` frees them. */
async function openUploadSpool(dataDir: string): Promise<UploadSpool & { close(): Promise<void> }> {
  const opened: SpoolFile[] = []
  const close = async (): Promise<void> => {
    await Promise.allSettled(opened.map((file) => file.close()))
  }
  try {
    for (let n = 0; n < 4; n++) opened.push(await openSpoolFile(dataDir))
  } catch (error) {
    await close()
    throw error
  }
  const [feed, products, problematicIds, problems] = opened as [SpoolFile, SpoolFile, SpoolFile, SpoolFile]
  return { feed, products, problematicIds, problems, close }
}

/** Receive, plan, store: only the last step holds a database connection. */
async function upload(
  app: App,
  slots: Slots,
  caller: Caller,
  body: BodyStream,
  spool: UploadSpool,
): Promise<{ plan: UploadPlan; result: UploadResult }> {
  const { fileName, error } = await receiveUpload(body, spool.feed, app.config.maxUploadBytes)
  if (error !== undefined) return refuse(app, caller, fileName, error)
  const plan = await planUpload(spool).catch((thrown: unknown) => {
    if (isFeedError(thrown)) return thrown
    throw thrown
  })
  if (isFeedError(plan)) return refuse(app, caller, fileName, plan)

  const result = await slots(() =>
    app.db.transaction(async (tx) => {
      const stored = await storeUpload(tx, caller, fileName, plan, app.clock.now())
      faultPoint('upload-before-commit')
      return stored
    }),
  )
  faultPoint('upload-after-commit')
  return { plan, result }
}

const MAX_REASON = 500

async function refuse(app: App, caller: Caller, fileName: string, error: FeedError): Promise<never> {
  const reason = error.message.slice(0, MAX_REASON).toWellFormed()
  await app.db.transaction((tx) => recordFailedUpload(tx, caller, fileName, reason, app.clock.now()))
  throw new InvalidError(reason)
}
