import { recordChange } from '../../../changes/index.ts'
import { distinctTimestamp } from '../../../platform/clock.ts'
import type { Tx } from '../../../platform/db/db.ts'
import { InvalidError } from '../../../platform/errors.ts'
import type { Order } from '../order-queries.ts'
import { placeOrder } from '../place-order.ts'
import { endBag, listLines } from './bag-queries.ts'
import { bagCheckedOut } from './topics.ts'

interface CheckOut {
  ownerId: string
  confirmWindowSeconds: number
  now: Date
}

/**
 * Makes an order of the bag, or throws what an order of its lines would and leaves the bag as it was. Of two check-outs at once the second
 * finds no open bag. Run it within `withDueOrdersExpired`, as `placeOrder`.
 */
export async function checkOutBag(tx: Tx, { ownerId, confirmWindowSeconds, now }: CheckOut): Promise<Order> {
  const bag = await endBag(tx, ownerId, 'CHECKED_OUT', distinctTimestamp(now))
  const lines = bag === undefined ? [] : await listLines(tx, bag.id)
  if (bag === undefined || lines.length === 0) throw new InvalidError('The bag is empty.', { code: 'empty_bag' })

  const wanted = lines.map(({ productId, variant, quantity }) => ({ productId, variant, quantity }))
  const customer = { customerId: ownerId, isCustomerHeld: true, actor: ownerId }
  const order = await placeOrder(tx, { ...customer, lines: wanted, confirmWindowSeconds, now })
  await recordChange(tx, {
    topic: bagCheckedOut,
    subjectId: bag.id,
    actor: ownerId,
    audience: [`user:${ownerId}`],
    data: { bag_id: bag.id, order_id: order.id },
  })
  return order
}
