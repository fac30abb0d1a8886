import { recordChange } from '../../changes/index.ts'
import { toTimestamp } from '../../platform/clock.ts'
import type { Tx } from '../../platform/db/db.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { newId } from '../../platform/ids.ts'
import { insertFeedProducts, recordFeedChanges, type StoredFeedProduct } from './feed-products.ts'
import { uploadCompleted, uploadFailed } from './topics.ts'
import type { UploadPlan } from './upload-plan.ts'
import { insertUpload, MAX_NAMED_IDS } from './upload-queries.ts'

export interface UploadResult {
  created: StoredFeedProduct[]
  existing: string[]
}

/** Stores what an upload asks for and records it; the mails follow from the recorded changes. */
export async function storeUpload(
  tx: Tx,
  caller: Caller,
  fileName: string,
  plan: Omit<UploadPlan, 'problemLists'>,
  now: Date,
): Promise<UploadResult> {
  const id = newId()
  const { created, existing } = await storeProducts(tx, caller.userId, plan, now)
  const { problems } = plan
  await insertUpload(tx, {
    ...uploadBy(caller, id, fileName, now),
    failure: null,
    createdCount: created.length,
    existingCount: existing.length,
    problematicCount: problems.count,
    existingIds: existing.slice(0, MAX_NAMED_IDS),
    problematicIds: problems.firstIds,
  })
  await recordFeedChanges(tx, { ownerId: caller.userId, source: 'upload', sourceId: id, created })
  await recordChange(tx, {
    topic: uploadCompleted,
    subjectId: id,
    actor: caller.userId,
    audience: [`user:${caller.userId}`],
    data: { fileName, created: created.length, existing: existing.length, problematic: problems.count },
  })
  return { created, existing }
}

/** Records that a file was refused as a whole; nothing of it is stored. */
export async function recordFailedUpload(
  tx: Tx,
  caller: Caller,
  fileName: string,
  reason: string,
  now: Date,
): Promise<void> {
  const id = newId()
  await insertUpload(tx, {
    ...uploadBy(caller, id, fileName, now),
    failure: reason,
    createdCount: 0,
    existingCount: 0,
    problematicCount: 0,
    existingIds: [],
    problematicIds: [],
  })
  await recordChange(tx, {
    topic: uploadFailed,
    subjectId: id,
    actor: caller.userId,
    audience: [`user:${caller.userId}`],
    data: { fileName, reason },
  })
}

function uploadBy(caller: Caller, id: string, fileName: string, now: Date) {
  const { userId: ownerId, username, email } = caller
  return { id, ownerId, username, email, fileName, created: toTimestamp(now) }
}

async function storeProducts(
  tx: Tx,
  ownerId: string,
  plan: Pick<UploadPlan, 'feedIds' | 'chunks'>,
  now: Date,
): Promise<{ created: StoredFeedProduct[]; existing: string[] }> {
  const stored = new Map<string, StoredFeedProduct>()
  let chunks = 0
  for await (const products of plan.chunks()) {
    // A millisecond per call keeps the times of rows apart, which a call spreads by microseconds.
    const { created } = await insertFeedProducts(tx, ownerId, products, new Date(now.getTime() + chunks))
    for (const row of created) stored.set(row.feedId, row)
    chunks += 1
  }

  const created: StoredFeedProduct[] = []
  const existing: string[] = []
  for (const feedId of plan.feedIds) {
    const row = stored.get(feedId)
    if (row === undefined) existing.push(feedId)
    else created.push(row)
    stored.delete(feedId)
  }
  return { created, existing }
}
