import { recordChange } from '../../../changes/index.ts'
import { distinctTimestamp } from '../../../platform/clock.ts'
import type { Tx } from '../../../platform/db/db.ts'
import { InvalidError, NotFoundError } from '../../../platform/errors.ts'
import { isUuid, newId } from '../../../platform/ids.ts'
import { toOffer, type Offer } from '../../catalog/index.ts'
import {
  addLine,
  deleteLine,
  endBag,
  endLastBag,
  lockBag,
  openAndLockBag,
  replaceLines,
  updateLine,
  type BagRow,
  type LineRow,
  type NewLine,
  type OfferedLine,
} from './bag-queries.ts'
import { deletedUser } from '../deleted-user.ts'
import { missingProducts } from '../missing-products.ts'
import { bagChanged, bagDiscarded } from './topics.ts'

/** What an order takes. */
export const MAX_LINES = 100
/** What one request adds to a line. */
export const MAX_ADDED = 1_000
/** What a line reaches when every line of a request that replaces the bag names the same variant. */
const MAX_LINE_QUANTITY = MAX_LINES * MAX_ADDED

/** A bag with what the catalogue says about its lines now. */
export interface FilledBag extends BagRow {
  lines: (LineRow & { offer: Offer })[]
}

/** Opens a bag for a user who has none; of two devices at once both get the same one. */
export async function openBag(tx: Tx, ownerId: string, now: Date): Promise<FilledBag> {
  const id = newId()
  const bag = await openAndLockBag(tx, { id, ownerId, now: distinctTimestamp(now) })
  if (bag === undefined) throw deletedUser()
  if (bag.id === id) await recordBagChanged(tx, ownerId, bag.id, 0)
  return { ...bag, lines: [] }
}

/** Gives each line what its row says of the catalogue. */
export function fillBag(bag: BagRow & { lines: OfferedLine[] }): FilledBag {
  return { ...bag, lines: bag.lines.map((line) => ({ ...line, offer: toOffer(line, line) })) }
}

/** Puts units of one variant in; they add to those already there. */
export async function addToBag(tx: Tx, ownerId: string, line: NewLine, now: Date): Promise<FilledBag> {
  const bag = await requireBag(tx, ownerId, now)
  const lines = await addLine(tx, bag.id, { ...normal(line), id: newId(), created: bag.updated })
  refuseOverflow(lines)
  return saveBag(tx, ownerId, { ...bag, lines }, [normal(line)])
}

/** Leaves exactly these lines; equal ones are added up, in the place of the first. */
export async function replaceBag(tx: Tx, ownerId: string, given: readonly NewLine[], now: Date): Promise<FilledBag> {
  const sums = new Map<string, LineRow>()
  for (const line of given.map(normal)) {
    const sum = sums.get(keyOf(line))
    sums.set(
      keyOf(line),
      sum === undefined ? { ...line, id: newId() } : { ...sum, quantity: sum.quantity + line.quantity },
    )
  }

  const bag = await requireBag(tx, ownerId, now)
  const lines = await replaceLines(tx, bag.id, [...sums.values()], bag.updated)
  return saveBag(tx, ownerId, { ...bag, lines }, lines)
}

/** Sets how many units a line wants, whether or not it can be bought at the moment. */
export async function setQuantity(
  tx: Tx,
  ownerId: string,
  { itemId, quantity }: { itemId: string; quantity: number },
  now: Date,
): Promise<FilledBag> {
  const bag = await requireBagWith(tx, ownerId, itemId, now)
  const lines = await updateLine(tx, bag.id, itemId, quantity)
  if (lines === undefined) throw new NotFoundError()
  return saveBag(tx, ownerId, { ...bag, lines }, [])
}

export async function removeFromBag(tx: Tx, ownerId: string, itemId: string, now: Date): Promise<void> {
  const bag = await requireBagWith(tx, ownerId, itemId, now)
  const left = await deleteLine(tx, bag.id, itemId)
  if (left === undefined) throw new NotFoundError()
  await recordBagChanged(tx, ownerId, bag.id, left)
}

/** Throws the open bag away; the next use opens another. Without one there is nothing to do: no bag has been shown. */
export async function discardBag(tx: Tx, ownerId: string, now: Date): Promise<void> {
  const bag = await endBag(tx, ownerId, 'DISCARDED', distinctTimestamp(now))
  if (bag !== undefined) await recordDiscarded(tx, ownerId, ownerId, bag.id)
}

/** What the deletion of a user does here, in its transaction: the bag is discarded, and none is opened any more. */
export async function discardLastBag(tx: Tx, user: { id: string; actor: string | null }): Promise<void> {
  const id = newId()
  const bagId = await endLastBag(tx, user.id, id)
  if (bagId !== id) await recordDiscarded(tx, user.id, user.actor, bagId)
}

async function requireBag(tx: Tx, ownerId: string, now: Date): Promise<BagRow> {
  const bag = await openAndLockBag(tx, { id: newId(), ownerId, now: distinctTimestamp(now) })
  if (bag === undefined) throw deletedUser()
  return bag
}

async function requireBagWith(tx: Tx, ownerId: string, itemId: string, now: Date): Promise<BagRow> {
  const bag = isUuid(itemId) ? await lockBag(tx, ownerId, distinctTimestamp(now)) : undefined
  if (bag === undefined) throw new NotFoundError()
  return bag
}

/** `put` are the lines the request names: the catalogue must know them; older lines stay, whatever has become of them. */
async function saveBag(
  tx: Tx,
  ownerId: string,
  bag: BagRow & { lines: OfferedLine[] },
  put: readonly NewLine[],
): Promise<FilledBag> {
  const filled = fillBag(bag)
  const orderable = new Set(filled.lines.filter(({ offer }) => offer.isOrderable).map(keyOf))
  const missing = put.filter((line) => !orderable.has(keyOf(line)))
  if (missing.length > 0) throw missingProducts(missing.map(({ productId, variant }) => [productId, variant]))
  await recordBagChanged(tx, ownerId, bag.id, bag.lines.length)
  return filled
}

function refuseOverflow(lines: readonly LineRow[]): void {
  if (lines.length > MAX_LINES)
    throw InvalidError.fields({ product_id: [`A bag holds at most ${MAX_LINES} different variants.`] })
  if (lines.some((line) => line.quantity > MAX_LINE_QUANTITY))
    throw InvalidError.fields({ quantity: [`A bag holds at most ${MAX_LINE_QUANTITY} units of one variant.`] })
}

/** Ids as the database writes them, so that equal ones are equal texts. */
function normal(line: NewLine): NewLine {
  return { ...line, productId: line.productId.toLowerCase() }
}

function keyOf({ productId, variant }: Pick<LineRow, 'productId' | 'variant'>): string {
  return `${productId} ${variant}`
}

function recordBagChanged(tx: Tx, ownerId: string, bagId: string, lines: number): Promise<string> {
  return recordChange(tx, {
    topic: bagChanged,
    subjectId: bagId,
    actor: ownerId,
    audience: [`user:${ownerId}`],
    data: { bag_id: bagId, lines },
  })
}

function recordDiscarded(tx: Tx, ownerId: string, actor: string | null, bagId: string): Promise<string> {
  return recordChange(tx, {
    topic: bagDiscarded,
    subjectId: bagId,
    actor,
    audience: [`user:${ownerId}`],
    data: { bag_id: bagId },
  })
}
