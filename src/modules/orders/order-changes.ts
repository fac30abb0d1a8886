import type { Static } from 'typebox'

import type { NewChange, Topic } from '../../changes/index.ts'
import type { TakenLine } from '../catalog/index.ts'
import type { Order } from './order-queries.ts'
import { orderTopics, saleTopics, type orderCancelled } from './topics.ts'

export type Happening = keyof typeof orderTopics
export type CancelReason = Static<typeof orderCancelled.data>['reason']

interface Circumstances {
  actor: string | null
  /** With `cancelled` only. */
  reason?: CancelReason
}

/**
 * What is recorded when something happens to an order: one change for the customer, and one for each seller with that seller's lines only.
 * All of them are in the order of the order's own row.
 */
export function changesOf(happening: Happening, order: Order, { actor, reason }: Circumstances): NewChange<Topic>[] {
  const { id, customerId, state, total } = order
  const shared = { subjectId: id, key: `order:${id}`, actor }
  const forCustomer: NewChange<Topic> = {
    ...shared,
    topic: orderTopics[happening],
    audience: [`user:${customerId}`],
    data: {
      order_id: id,
      customer_id: customerId,
      state,
      total,
      ...linesThatFit(order.lines),
      ...(reason === undefined ? {} : { reason }),
    },
  }
  const forSellers = salesOf(order.lines).map(({ sellerId, subtotal, lines }): NewChange<Topic> => ({
    ...shared,
    topic: saleTopics[happening],
    audience: [`user:${sellerId}`],
    data: {
      order_id: id,
      seller_id: sellerId,
      customer_id: customerId,
      state,
      subtotal,
      ...linesThatFit(lines),
    },
  }))
  return [forCustomer, ...forSellers]
}

export interface Sale {
  sellerId: string
  subtotal: number
  lines: TakenLine[]
}

/** The lines of an order by seller, sellers in the order in which they first occur. */
export function salesOf(lines: readonly TakenLine[]): Sale[] {
  const sales = new Map<string, Sale>()
  for (const line of lines) {
    const { sellerId } = line
    const sale = sales.get(sellerId) ?? { sellerId, subtotal: 0, lines: [] }
    sale.subtotal += line.unitPrice * line.quantity
    sale.lines.push(line)
    sales.set(sellerId, sale)
  }
  return [...sales.values()]
}

/** Of the 16 KB that a change may hold, what lines may take. A hundred usual lines fit; with long names of variants fewer do. */
const MAX_LINES_BYTES = 15 * 1024

/** So many fit whatever they are: none is above 450 bytes, with a variant of 50 characters that JSON must escape. */
const ALWAYS_FIT = 30

function linesThatFit(lines: readonly TakenLine[]): { line_count: number; lines: unknown[] } {
  const shown = lines.map(({ productId, variant, quantity, unitPrice }) => ({
    product_id: productId,
    variant,
    quantity,
    unit_price: unitPrice,
  }))
  return { line_count: lines.length, lines: lines.length <= ALWAYS_FIT ? shown : firstThatFit(shown) }
}

function firstThatFit(lines: readonly unknown[]): unknown[] {
  let bytes = 0
  const end = lines.findIndex((line) => {
    bytes += Buffer.byteLength(JSON.stringify(line)) + 1
    return bytes > MAX_LINES_BYTES
  })
  return end === -1 ? [...lines] : lines.slice(0, end)
}
