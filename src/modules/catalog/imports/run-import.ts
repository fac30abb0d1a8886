import { faultPoint } from '../../../platform/fault.ts'
import { toTimestamp, type Clock } from '../../../platform/clock.ts'
import { errorCode, type Db } from '../../../platform/db/db.ts'
import { UnauthenticatedError } from '../../../platform/errors.ts'
import { refreshStatistics } from '../feed-products.ts'
import { FeedError, readFeed, requireWellFormed } from '../feed/read-feed.ts'
import { LeaseLostError, storeBatch, type Batch } from './import-batch.ts'
import { endImport, type Ending } from './import-queries.ts'
import { lockHeld, markChecked, type Claim } from './lease-queries.ts'
import type { Spool } from './spool.ts'
import { recordEnd } from './topics.ts'

const BATCH_ITEMS = 1_000
/** Items after which the planner looks at the tables, and how many times more before it looks again. */
const FIRST_LOOK_ITEMS = 2_000
const LOOK_GROWTH = 8

export interface ImportRunner {
  db: Db
  clock: Clock
  spool: Spool
}

/** What the runner is told while it works, and what it tells. */
export interface RunState {
  /** Set from outside: finish the batch in hand and return. */
  readonly isStopped: boolean
  /** Set from outside: the import is to end as cancelled. */
  readonly isCancelled: boolean
  /** Bytes that were checked for well-formedness so far. */
  bytesChecked: number
}

/** The process is shutting down; the import goes on elsewhere or later. */
export class StoppedError extends Error {}
class CancelledError extends Error {}

/**
 * Carries one claimed import to its end, or throws: StoppedError and LeaseLostError when it goes on elsewhere, anything else when it
 * should be tried again. What was stored before is not stored again, whoever did it.
 */
export async function runImport(runner: ImportRunner, claim: Claim, state: RunState): Promise<void> {
  const ending = await work(runner, claim, state).catch(endingOf)
  faultPoint('import-before-finish')
  await finishImport(runner, claim, ending)
}

async function work(runner: ImportRunner, claim: Claim, state: RunState): Promise<Ending> {
  if (claim.job.state === 'cancelling') throw new CancelledError()
  if (!claim.job.isChecked) await checkDocument(runner, claim, state)
  await storeItems(runner, claim, state)
  return { state: 'succeeded' }
}

/** Reads the whole document once before any item is stored, so that a broken one imports nothing. */
async function checkDocument({ db, spool }: ImportRunner, claim: Claim, state: RunState): Promise<void> {
  const { id, isCompressed } = claim.job
  await requireWellFormed(
    watched(spool.read(id, isCompressed), state, (bytes) => {
      state.bytesChecked = bytes
    }),
  )
  await db.transaction(async (tx) => {
    if ((await lockHeld(tx, id, claim.token)) === undefined) throw new LeaseLostError()
    await markChecked(tx, id)
  })
}

async function storeItems(runner: ImportRunner, claim: Claim, state: RunState): Promise<void> {
  const batches = readBatches(runner.spool, claim, state)
  let nextLook = FIRST_LOOK_ITEMS
  let look = Promise.resolve()
  try {
    // The next batch is parsed while the database stores this one.
    let next = batches.next()
    for (;;) {
      const { value: batch, done } = await next
      if (done === true) return await look
      next = batches.next()
      next.catch(() => undefined)
      if ((await storeBatch(runner, claim, batch)) === 'cancelling') throw new CancelledError()
      const { item } = batch.entries.at(-1)!
      if (item < nextLook) continue
      nextLook = item * LOOK_GROWTH
      // The planner looks while the import goes on; what goes wrong is thrown at the next look or at the end.
      await look
      look = refreshStatistics(runner.db)
      look.catch(() => undefined)
    }
  } finally {
    await batches.return(undefined)
  }
}

async function* readBatches(spool: Spool, claim: Claim, state: RunState): AsyncGenerator<Batch> {
  const { id, isCompressed, itemsRead } = claim.job
  let bytesRead = 0
  const source = watched(spool.read(id, isCompressed), state, (bytes) => {
    bytesRead = bytes
  })
  for await (const entries of readFeed(source, { skipItems: itemsRead, batchItems: BATCH_ITEMS })) {
    yield { entries, bytesRead }
  }
}

/** Counts the bytes and ends the reading when it is to end. */
async function* watched(
  source: AsyncIterable<Buffer>,
  state: RunState,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of source) {
    if (state.isCancelled) throw new CancelledError()
    if (state.isStopped) throw new StoppedError()
    bytes += chunk.length
    count(bytes)
    yield chunk
  }
}

function endingOf(error: unknown): Ending {
  if (error instanceof CancelledError) return { state: 'cancelled' }
  if (error instanceof FeedError) {
    return { state: 'failed', error: error.reason, line: error.line, column: error.column }
  }
  if (error instanceof UnauthenticatedError) return { state: 'failed', error: 'the user has been deleted' }
  const code = errorCode(error)
  if (code === 'ENOENT') return { state: 'failed', error: 'the uploaded file is no longer there' }
  if (code?.startsWith('Z_')) return { state: 'failed', error: 'the stored gzip file is damaged' }
  throw error
}

/** Ends the import once: whoever has lost the lease changes nothing. */
export async function finishImport({ db, clock, spool }: ImportRunner, claim: Claim, ending: Ending): Promise<void> {
  await db.transaction(async (tx) => {
    const held = await lockHeld(tx, claim.job.id, claim.token)
    if (held === undefined) throw new LeaseLostError()
    await recordEnd(tx, await endImport(tx, claim.job.id, ending, toTimestamp(clock.now())))
  })
  await spool.remove(claim.job.id)
}
