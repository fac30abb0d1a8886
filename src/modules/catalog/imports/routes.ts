import { Readable } from 'node:stream'

import { Type } from 'typebox'

import type { Db } from '../../../platform/db/db.ts'
import { InvalidError } from '../../../platform/errors.ts'
import type { App } from '../../../platform/http/app.ts'
import type { BodyStream } from '../../../platform/http/read-body.ts'
import { uuidParam } from '../../../platform/http/schemas.ts'
import { exampleUpload } from '../schemas.ts'
import { listImports } from './import-queries.ts'
import { cancelImport, getImport, requestImport, type ImportOptions } from './imports.ts'
import { presentImport } from './presenters.ts'
import { receiveFeed } from './receive-feed.ts'
import { writeReportCsv } from './report-csv.ts'
import { listProblems, type ReportRow } from './report-queries.ts'
import { importPage, importQuery, importSchema, pageQuery, reportPage, reportQuery } from './schemas.ts'
import { openSpool } from './spool.ts'

const tags = ['Imports']
const bodyTypes = [
  'multipart/form-data',
  'application/xml',
  'text/xml',
  'application/gzip',
  'application/x-gzip',
] as const
const MAX_PAGE = 100
const MAX_REPORT_PAGE = 1_000

/** Background imports of product feeds. */
export function registerImportRoutes(app: App): void {
  registerRequest(app)
  registerReads(app)
  registerReports(app)
}

function registerRequest(app: App): void {
  const spool = openSpool(app.config.dataDir)
  app.post(
    '/api/imports/',
    {
      schema: {
        tags,
        summary: 'Import a product feed in the background',
        description: 'The feed is the part `file` of a form or the whole body; XML, or XML compressed with gzip.',
        operationId: 'requestImport',
        consumes: [...bodyTypes],
        querystring: importQuery,
        response: { 202: importSchema },
      },
      config: { bodyTypes, postman: { order: 210, raw: exampleUpload, save: { importId: 'id' } } },
    },
    async (request, reply) => {
      const body = request.body as BodyStream | undefined
      const feed = await receiveFeed(body, spool, app.config.maxImportBytes)
      try {
        const options = readOptions({ ...request.query, ...feed.fields })
        await feed.file.keep()
        const job = await app.db.transaction((tx) => requestImport(tx, request.caller, feed, options, app.clock.now()))
        return await reply.code(202).header('location', `/api/imports/${job.id}/`).send(presentImport(job))
      } catch (error) {
        await feed.file.discard()
        throw error
      }
    },
  )

  app.post(
    '/api/imports/:id/cancel/',
    {
      schema: {
        tags,
        summary: 'Cancel an import',
        description: 'A running import stops behind the batch in hand; what it has stored stays.',
        operationId: 'cancelImport',
        params: uuidParam,
        response: { 200: importSchema },
      },
      config: { errors: [400], postman: { order: 890, path: { id: '{{importId}}' }, expect: [200, 400] } },
    },
    async (request) => {
      const job = await app.db.transaction((tx) => cancelImport(tx, request.caller, request.params.id, app.clock.now()))
      return presentImport(job)
    },
  )
}

/** Values of the form come as text, those of the query as what the schema made of them; the form wins. */
function readOptions({ mode = 'create', dry_run: dryRun = false }: Record<string, unknown>): ImportOptions {
  if (mode !== 'create' && mode !== 'update') throw InvalidError.fields({ mode: ['Must be create or update.'] })
  if (!['true', 'false'].includes(String(dryRun))) throw InvalidError.fields({ dry_run: ['Must be true or false.'] })
  return { mode, dryRun: String(dryRun) === 'true' }
}

function registerReads(app: App): void {
  app.get(
    '/api/imports/',
    {
      schema: {
        tags,
        summary: 'List your imports, newest first',
        operationId: 'listImports',
        querystring: pageQuery,
        response: { 200: importPage },
      },
      config: { errors: [400] },
    },
    async (request) => {
      const { page_size: wanted = 20, offset = null } = request.query
      const pageSize = Math.min(wanted, MAX_PAGE)
      const query = { ownerId: request.caller.userId, before: offset, limit: pageSize + 1 }
      const rows = await listImports(app.db, query)
      const data = rows.slice(0, pageSize).map(presentImport)
      const metadata = { page_size: pageSize, offset: data.at(-1)?.id ?? null, has_next: rows.length > pageSize }
      return { metadata, data }
    },
  )

  app.get(
    '/api/imports/:id/',
    {
      config: { postman: { path: { id: '{{importId}}' } } },
      schema: {
        tags,
        summary: 'Show an import and how far it has come',
        operationId: 'getImport',
        params: uuidParam,
        response: { 200: importSchema },
      },
    },
    async (request) => presentImport(await getImport(app.db, request.caller, request.params.id)),
  )
}

function registerReports(app: App): void {
  app.get(
    '/api/imports/:id/report/',
    {
      schema: {
        tags,
        summary: 'List what was wrong with rejected items',
        operationId: 'getImportReport',
        params: uuidParam,
        querystring: reportQuery,
        response: { 200: reportPage },
      },
      config: { errors: [400], postman: { path: { id: '{{importId}}' } } },
    },
    async (request) => {
      const job = await getImport(app.db, request.caller, request.params.id)
      const { page_size: wanted = 100, offset = 0 } = request.query
      const pageSize = Math.min(wanted, MAX_REPORT_PAGE)
      const rows = await listProblems(app.db, { importId: job.id, after: offset, limit: pageSize + 1 })
      const data = rows.slice(0, pageSize)
      const metadata = { page_size: pageSize, offset: data.at(-1)?.ordinal ?? null, has_next: rows.length > pageSize }
      return { metadata, data }
    },
  )

  const csv = {
    200: { description: 'The report.', content: { 'text/csv': { schema: Type.Unsafe<Readable>(Type.String()) } } },
  }
  app.get(
    '/api/imports/:id/report.csv',
    {
      config: { postman: { path: { id: '{{importId}}' } } },
      schema: {
        tags,
        summary: 'What was wrong with rejected items, as CSV',
        operationId: 'getImportReportCsv',
        params: uuidParam,
        response: csv,
      },
    },
    async (request, reply) => {
      const job = await getImport(app.db, request.caller, request.params.id)
      reply.type('text/csv; charset=utf-8').header('content-disposition', `attachment; filename="import-${job.id}.csv"`)
      return reply.send(Readable.from(writeReportCsv(reportPages(app.db, job.id))))
    },
  )
}

/** Page by page, each in a statement of its own: a slow reader holds no connection. */
async function* reportPages(db: Db, importId: string): AsyncGenerator<ReportRow[]> {
  let after = 0
  for (;;) {
    const rows = await listProblems(db, { importId, after, limit: MAX_REPORT_PAGE })
    if (rows.length === 0) return
    yield rows
    after = rows.at(-1)!.ordinal
  }
}
