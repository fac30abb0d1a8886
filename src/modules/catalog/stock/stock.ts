import type { Queryable, Tx } from '../../../platform/db/db.ts'
import {
  addUnits,
  listOffers,
  setUnits,
  takeUnits,
  type OfferRow,
  type Units,
  type VariantOf,
} from './stock-queries.ts'
import { recordRestocked, recordSoldOut } from './stock-changes.ts'

export interface StockLine {
  productId: string
  variant: string
  quantity: number
}

export interface TakenLine extends StockLine {
  unitPrice: number
  sellerId: string
  title: string
}

export type TakeResult =
  | { result: 'taken'; lines: TakenLine[] }
  | { result: 'missing'; missing: [productId: string, variant: string][] }
  | { result: 'short'; short: { productId: string; variant: string }[] }
  | { result: 'buyer gone' }

/** More than any variant has. JSON integers may be as large as 1e300. */
const ABOVE_ALL_STOCK = 2 ** 31

/**
 * Takes the units of all lines or of none, in one statement; lines of the same variant are added up. Throws nothing when units are missing:
 * the caller decides what that means. A variant that gives its last unit is recorded as sold out. With a buyer, who must not be deleted before
 * the transaction ends, it must be the first that the transaction locks.
 */
export async function takeStock(tx: Tx, lines: readonly StockLine[], buyerId?: string): Promise<TakeResult> {
  const { sums, placeOf } = sumUp(lines)
  if (sums.length === 0) return { result: 'taken', lines: [] }
  const rows = await takeUnits(tx, sums, buyerId)
  if (rows[0]!.isBuyerGone) return { result: 'buyer gone' }
  const wanted = sums.map((units, place) => ({ ...units, ...rows[place]! }))

  const missing = wanted.filter((row) => row.rest === null)
  if (missing.length > 0) return { result: 'missing', missing: missing.map((row) => [row.productId, row.variant]) }
  const short = wanted.filter((row) => (row.rest ?? 0) < 0)
  if (short.length > 0)
    return { result: 'short', short: short.map(({ productId, variant }) => ({ productId, variant })) }

  await recordSoldOut(
    tx,
    wanted.filter((row) => row.rest === 0),
  )
  const taken = lines.map((line, index) => {
    const { unitPrice, sellerId, title } = rows[placeOf[index]!]!
    return { ...line, unitPrice, sellerId, title }
  })
  return { result: 'taken', lines: taken }
}

/**
 * Gives units back, in one statement, to the variants that still exist of products that are not deleted; the others are not brought back.
 * A variant that had none is recorded as restocked.
 */
export async function returnStock(tx: Tx, lines: readonly StockLine[]): Promise<void> {
  const { sums } = sumUp(lines)
  if (sums.length > 0) await recordRestocked(tx, await addUnits(tx, sums))
}

/** Replaces the stock of a product that the caller has locked; records which variants have sold out or are back by it. */
export async function replaceStock(
  tx: Tx,
  product: { id: string; ownerId: string; state: 'AVAILABLE' | 'DRAFT' },
  stock: Readonly<Record<string, number>>,
): Promise<void> {
  const moved = await setUnits(tx, product.id, stock)
  const named = moved.map((row) => ({ ...row, productId: product.id, sellerId: product.ownerId, state: product.state }))
  await recordSoldOut(
    tx,
    named.filter(({ before, after }) => before > 0 && after === 0),
  )
  await recordRestocked(
    tx,
    named.filter(({ before, after }) => before === 0 && after > 0),
  )
}

/** What a buyer finds at one variant of one product. */
export interface Offer {
  productId: string
  variant: string
  /** Empty when there never was such a product, as is `sellerId`. */
  title: string
  price: number
  /** Free units; 0 when it cannot be ordered. */
  available: number
  sellerId: string
  /** False when product or variant is gone, withdrawn or unknown; true also with no free units. */
  isOrderable: boolean
}

/** What the variants are now, one offer per pair and in the given order, in one statement. */
export async function describeOffers(db: Queryable, pairs: readonly VariantOf[]): Promise<Offer[]> {
  if (pairs.length === 0) return []
  const rows = await listOffers(db, pairs)
  return rows.map((row, place) => toOffer(pairs[place]!, row))
}

/** What a row of `withOffers` says about its variant. */
export function toOffer({ productId, variant }: VariantOf, { title, price, sellerId, available }: OfferRow): Offer {
  const known = { title: title ?? '', price: price ?? 0, sellerId: sellerId ?? '' }
  return { productId, variant, ...known, available: available ?? 0, isOrderable: available !== null }
}

interface Sums {
  sums: Units[]
  /** For each line the place of its variant in `sums`. */
  placeOf: number[]
}

function sumUp(lines: readonly StockLine[]): Sums {
  const places = new Map<string, number>()
  const sums: Units[] = []
  const placeOf = lines.map(({ productId, variant, quantity }) => {
    const key = `${productId.toLowerCase()} ${variant}`
    const place = places.get(key) ?? sums.length
    if (place === sums.length) sums.push({ productId, variant, quantity: 0 })
    places.set(key, place)
    const units = sums[place]!
    units.quantity = Math.min(units.quantity + quantity, ABOVE_ALL_STOCK)
    return place
  })
  return { sums, placeOf }
}
