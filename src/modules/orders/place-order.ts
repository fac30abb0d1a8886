import { recordChanges } from '../../changes/index.ts'
import { distinctTimestamp, secondsAfter } from '../../platform/clock.ts'
import type { Tx } from '../../platform/db/db.ts'
import { InvalidError } from '../../platform/errors.ts'
import { faultPoint } from '../../platform/fault.ts'
import { newId } from '../../platform/ids.ts'
import { takeStock, type StockLine, type TakenLine } from '../catalog/index.ts'
import { deletedUser } from './deleted-user.ts'
import { missingProducts } from './missing-products.ts'
import { changesOf } from './order-changes.ts'
import { insertOrder, type Order } from './order-queries.ts'

interface PlacedOrder {
  customerId: string
  /** The transaction holds something that a deletion of the customer waits for, such as the bag. */
  isCustomerHeld?: boolean
  /** No product and variant twice. */
  lines: readonly StockLine[]
  confirmWindowSeconds: number
  now: Date
  actor: string
}

/**
 * Takes the units and places the order, or throws what the store contract says of missing products (section 5.1) and takes nothing;
 * UnauthenticatedError when the customer is deleted. Run it within `withDueOrdersExpired`, so that units of orders past their time count as free.
 */
export async function placeOrder(tx: Tx, order: PlacedOrder): Promise<Order> {
  const { customerId, isCustomerHeld = false, lines, confirmWindowSeconds, now, actor } = order
  const taken = await takeStock(tx, lines, isCustomerHeld ? undefined : customerId)
  if (taken.result === 'buyer gone') throw deletedUser()
  if (taken.result === 'missing') throw missingProducts(taken.missing)
  if (taken.result === 'short') throw new ShortOfUnitsError(lines, taken.short)

  const created = distinctTimestamp(now)
  const placed: Order = {
    id: newId(now.getTime()),
    customerId,
    state: 'PENDING_CONFIRMATION',
    total: totalOf(taken.lines),
    confirmBefore: secondsAfter(created, confirmWindowSeconds),
    payment: null,
    lines: taken.lines,
    created,
    updated: created,
  }
  insertOrder(tx, placed)
  await recordChanges(tx, changesOf('placed', placed, { actor }))
  tx.afterCommit(() => faultPoint('order-placed-after-commit'))
  faultPoint('order-placed-before-commit')
  return placed
}

/** Too few free units: an order of a product more of which is wanted than there is. */
export class ShortOfUnitsError extends InvalidError {
  /** The lines that ask for more than is free. */
  readonly short: readonly StockLine[]

  constructor(lines: readonly StockLine[], short: readonly { productId: string; variant: string }[]) {
    const isShort = (line: StockLine) =>
      short.some(({ productId, variant }) => line.productId === productId && line.variant === variant)
    const shortLines = lines.filter(isShort)
    const named = shortLines[0]?.productId ?? ''
    super(`available stock for product ${named} is less than desired amount`, { code: 'short_of_units' })
    this.short = shortLines
  }
}

/** A sum that would not be exact is already above the limit. */
function totalOf(lines: readonly TakenLine[]): number {
  const total = lines.reduce((sum, { unitPrice, quantity }) => sum + unitPrice * quantity, 0)
  if (total <= Number.MAX_SAFE_INTEGER) return total
  throw InvalidError.fields({ products: [`The total of an order may be at most ${Number.MAX_SAFE_INTEGER}.`] })
}
