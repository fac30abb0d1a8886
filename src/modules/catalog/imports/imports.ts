import { toTimestamp } from '../../../platform/clock.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'
import { ForbiddenError, InvalidError, NotFoundError } from '../../../platform/errors.ts'
import type { Caller } from '../../../platform/http/caller.ts'
import {
  endImport,
  findImport,
  insertImport,
  lockImport,
  markCancelling,
  type ImportMode,
  type ImportRow,
} from './import-queries.ts'
import type { ReceivedFeed } from './receive-feed.ts'
import { importRequested, recordEnd, recordImport } from './topics.ts'

export interface ImportOptions {
  mode: ImportMode
  dryRun: boolean
}

/** Queues the import of a feed whose file is safe on disk. */
export async function requestImport(
  tx: Tx,
  caller: Caller,
  feed: ReceivedFeed,
  options: ImportOptions,
  now: Date,
): Promise<ImportRow> {
  const job = await insertImport(tx, {
    id: feed.id,
    ownerId: caller.userId,
    username: caller.username,
    email: caller.email,
    fileName: feed.fileName,
    mode: options.mode,
    dryRun: options.dryRun,
    isCompressed: feed.isCompressed,
    bytesTotal: feed.bytesTotal,
    isChecked: feed.isChecked,
    requestedAt: toTimestamp(now),
  })
  await recordImport(tx, importRequested, job)
  return job
}

/** An import as its owner or staff may see it. */
export async function getImport(db: Queryable, caller: Caller, id: string): Promise<ImportRow> {
  return requireReader(caller, await findImport(db, id))
}

/**
 * Ends an import that has not begun, and asks the worker of a running one to stop behind the batch in hand. What was stored stays. Asking
 * twice changes nothing; an import that has ended is 400.
 */
export async function cancelImport(tx: Tx, caller: Caller, id: string, now: Date): Promise<ImportRow> {
  const job = requireReader(caller, await lockImport(tx, id))
  if (job.state === 'cancelling') return job
  if (job.state === 'running') return markCancelling(tx, id)
  if (job.state !== 'queued') throw new InvalidError(`This import has ended: it is ${job.state}.`)
  const ended = await endImport(tx, id, { state: 'cancelled' }, toTimestamp(now))
  await recordEnd(tx, ended)
  return ended
}

function requireReader(caller: Caller, job: ImportRow | undefined): ImportRow {
  if (job === undefined) throw new NotFoundError('Import not found.')
  if (job.ownerId !== caller.userId && !caller.isStaff) throw new ForbiddenError()
  return job
}
