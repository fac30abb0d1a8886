import { Type } from 'typebox'

import { defineTopic, recordChange, type Topic } from '../../../changes/index.ts'
import type { Tx } from '../../../platform/db/db.ts'
import { percentageOf } from './progress.ts'
import type { ImportRow } from './import-queries.ts'

const subject = 'import'
const heardBy = 'who asked for the import'
const nullableInteger = Type.Union([Type.Integer(), Type.Null()])

const figures = {
  fileName: Type.String(),
  mode: Type.Union([Type.Literal('create'), Type.Literal('update')]),
  dryRun: Type.Boolean(),
  itemsRead: Type.Integer(),
  created: Type.Integer(),
  updated: Type.Integer(),
  unchanged: Type.Integer(),
  existing: Type.Integer(),
  problematic: Type.Integer(),
  /** Of the unpacked feed. */
  bytesRead: Type.Integer(),
  bytesTotal: Type.Integer(),
  percentage: Type.Integer({ minimum: 0, maximum: 100 }),
}
const data = Type.Object(figures)

export const importRequested = defineTopic({
  name: 'catalog.import.requested',
  description: 'A feed was received to be imported in the background.',
  subject,
  heardBy,
  data,
})

export const importProgressed = defineTopic({
  name: 'catalog.import.progressed',
  description: 'A running import has come further; told at most once a second per import.',
  subject,
  heardBy,
  data,
})

export const importSucceeded = defineTopic({
  name: 'catalog.import.succeeded',
  description: 'An import has read its feed to the end.',
  subject,
  heardBy,
  data,
})

export const importCancelled = defineTopic({
  name: 'catalog.import.cancelled',
  description: 'An import was cancelled; what it had stored until then stays.',
  subject,
  heardBy,
  data,
})

export const importFailed = defineTopic({
  name: 'catalog.import.failed',
  description: 'An import cannot go on; a feed that is not well-formed fails before anything is stored.',
  subject,
  heardBy,
  data: Type.Object({ ...figures, reason: Type.String(), line: nullableInteger, column: nullableInteger }),
})

export const importTopics: readonly Topic[] = [
  importRequested,
  importProgressed,
  importSucceeded,
  importCancelled,
  importFailed,
]

/** Records that an import was requested, has come further or was cancelled. The row is locked by the caller or new. */
export async function recordImport(tx: Tx, topic: typeof importRequested, job: ImportRow): Promise<void> {
  await recordChange(tx, { ...envelope(job), topic, data: figuresOf(job) })
}

/** Records how an import ended; its state says it. */
export async function recordEnd(tx: Tx, job: ImportRow): Promise<void> {
  if (job.state === 'failed') {
    const reason = job.error ?? 'unknown'
    const place = { reason, line: job.errorLine, column: job.errorColumn }
    await recordChange(tx, { ...envelope(job), topic: importFailed, data: { ...figuresOf(job), ...place } })
    return
  }
  const topic = job.state === 'cancelled' ? importCancelled : importSucceeded
  await recordChange(tx, { ...envelope(job), topic, data: figuresOf(job) })
}

function envelope(job: ImportRow) {
  return { subjectId: job.id, actor: job.ownerId, audience: [`user:${job.ownerId}` as const] }
}

function figuresOf(job: ImportRow) {
  const {
    fileName,
    mode,
    dryRun,
    itemsRead,
    created,
    updated,
    unchanged,
    existing,
    problematic,
    bytesRead,
    bytesTotal,
  } = job
  const counts = { itemsRead, created, updated, unchanged, existing, problematic }
  return { fileName, mode, dryRun, ...counts, bytesRead, bytesTotal, percentage: percentageOf(job) }
}
