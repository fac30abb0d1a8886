import { distinctTimestamp } from '../../../platform/clock.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'
import { ForbiddenError, InvalidError, NotFoundError } from '../../../platform/errors.ts'
import type { Caller } from '../../../platform/http/caller.ts'
import { isUuid, newId } from '../../../platform/ids.ts'
import { nextState } from '../../../platform/state-machine.ts'
import { requireActiveOwner } from '../deleted-owners.ts'
import { cleanHtml } from '../feed/clean-html.ts'
import { saveSearchDocuments } from '../search/documents.ts'
import { replaceStock } from '../stock/stock.ts'
import {
  recordProductChanged,
  recordProductCreated,
  recordProductDeleted,
  recordProductPublished,
  recordProductWithdrawn,
} from './product-changes.ts'
import {
  countTags,
  insertProduct,
  lockProduct,
  markProductDeleted,
  saveProduct,
  saveProductState,
  type LockedProduct,
  type NewProduct,
  type ProductPatch,
} from './product-queries.ts'
import { listProductRows, type ProductRow } from './product-rows.ts'
import { productStates } from './product-states.ts'

/** A product as the caller may see it; throws NotFoundError, also for a draft of somebody else. */
export async function getProduct(db: Queryable, caller: Caller, id: string): Promise<ProductRow> {
  const [product] = await listProductRows(db, [id])
  if (product === undefined) throw new NotFoundError()
  requireVisible(caller, product)
  return product
}

export type ProductInput = Omit<NewProduct, 'id' | 'ownerId'>

/** Adds a product of the caller's. */
export async function createProduct(tx: Tx, caller: Caller, input: ProductInput, now: Date): Promise<ProductRow> {
  await requireActiveOwner(tx, caller.userId)
  const tagIds = distinctTagIds(input.tagIds)
  const [id, created] = [newId(), distinctTimestamp(now)]
  const tags = await insertProduct(tx, { ...input, tagIds, id, ownerId: caller.userId }, created)
  if (tags.length < tagIds.length) throw unknownTags()

  await saveSearchDocuments(tx, [id])
  const { title, description, price, stock, state } = input
  const soldOut = Object.values(stock).every((quantity) => quantity === 0)
  const times = { created, updated: created }
  const product = { id, title, description, price, stock, ownerUserId: caller.userId, tags, state, soldOut, ...times }
  await recordProductCreated(tx, product)
  return product
}

/** Members that are absent keep their value. */
export interface ProductChange extends ProductPatch {
  stock?: Record<string, number> | undefined
}

/** Changes what is named of the caller's product. Naming nothing changes nothing. Tags are judged before the product is looked for. */
export async function changeProduct(
  tx: Tx,
  caller: Caller,
  id: string,
  change: ProductChange,
  now: Date,
): Promise<ProductRow> {
  await requireActiveOwner(tx, caller.userId)
  const { stock, ...patch } = change
  if (patch.tagIds !== undefined) patch.tagIds = await requireTags(tx, patch.tagIds)
  const product = await lockOwnProduct(tx, caller, id)
  if (Object.values(change).every((member) => member === undefined)) return getProduct(tx, caller, id)
  if (product.isOfFeed && patch.description !== undefined) patch.description = cleanDescription(patch.description)

  await saveProduct(tx, id, patch, distinctTimestamp(now))
  if (stock !== undefined) await replaceStock(tx, product, stock)
  await saveSearchDocuments(tx, [id])
  const changed = await getProduct(tx, caller, id)
  await recordProductChanged(tx, changed)
  return changed
}

/** Publishes or withdraws the caller's product; throws InvalidError where its state does not allow that. */
export async function moveProduct(
  tx: Tx,
  caller: Caller,
  id: string,
  trigger: 'publish' | 'withdraw',
  now: Date,
): Promise<ProductRow> {
  await requireActiveOwner(tx, caller.userId)
  const { state: from } = await lockOwnProduct(tx, caller, id)
  const to = nextState(productStates, from, trigger)
  if (to === undefined || to === 'DELETED') throw new InvalidError(`Cannot ${trigger} a product that is ${from}.`)

  await saveProductState(tx, id, to, distinctTimestamp(now))
  await saveSearchDocuments(tx, [id])
  const product = await getProduct(tx, caller, id)
  await (trigger === 'publish' ? recordProductPublished(tx, product) : recordProductWithdrawn(tx, product))
  return product
}

/** Deletes the caller's product with its stock; orders go on, and the id in its feed is free again. */
export async function deleteProduct(tx: Tx, caller: Caller, id: string, now: Date): Promise<void> {
  await requireActiveOwner(tx, caller.userId)
  const product = await lockOwnProduct(tx, caller, id)
  await markProductDeleted(tx, id, product.state, distinctTimestamp(now))
  await saveSearchDocuments(tx, [id])
  await recordProductDeleted(tx, { id: product.id, ownerUserId: product.ownerId }, product.state)
}

/** The feed's clients put descriptions into their pages as HTML (product-feed contract, section 3.2), whoever wrote them. */
function cleanDescription(description: string): string {
  const cleaned = cleanHtml(description)
  if (cleaned === '') throw InvalidError.fields({ description: ['Nothing of this is text or plain formatting.'] })
  return cleaned
}

async function lockOwnProduct(tx: Tx, caller: Caller, id: string): Promise<LockedProduct> {
  const product = await lockProduct(tx, id)
  if (product === undefined) throw new NotFoundError()
  requireVisible(caller, { ownerUserId: product.ownerId, state: product.state })
  if (product.ownerId !== caller.userId) throw new ForbiddenError()
  return product
}

/** Staff are no exception (store contract, section 3). */
function requireVisible(caller: Caller, { ownerUserId, state }: Pick<ProductRow, 'ownerUserId' | 'state'>): void {
  if (state !== 'AVAILABLE' && ownerUserId !== caller.userId) throw new NotFoundError()
}

async function requireTags(tx: Tx, given: readonly string[]): Promise<string[]> {
  const tagIds = distinctTagIds(given)
  if (tagIds.length > 0 && (await countTags(tx, tagIds)) < tagIds.length) throw unknownTags()
  return tagIds
}

function distinctTagIds(given: readonly string[]): string[] {
  const tagIds = given.map((id) => id.toLowerCase())
  if (!tagIds.every(isUuid)) throw unknownTags()
  if (new Set(tagIds).size < tagIds.length) throw InvalidError.fields({ tags: ['A tag is named more than once.'] })
  return tagIds
}

function unknownTags(): InvalidError {
  return InvalidError.fields({ tags: ['A tag does not exist.'] })
}
