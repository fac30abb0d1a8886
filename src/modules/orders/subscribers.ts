import type { Change, Subscriber } from '../../changes/index.ts'
import { queueMails, type NewMail } from '../../delivery/index.ts'
import type { Config } from '../../platform/config.ts'
import { usersByIds, type User } from '../identity/index.ts'
import { salesOf } from './order-changes.ts'
import { newOrderMail, type OrderMail } from './order-mails.ts'
import { listOrders, type Order } from './order-queries.ts'
import { makePaymentsDue } from './payment-queries.ts'
import { orderAccepted, orderCancelled, orderConfirmed } from './topics.ts'

/**
 * Sets the payments of confirmed orders going, unless the Redis stream does. It keeps its place in the log in either case, so that going back
 * from the stream begins where the log is then.
 */
export function paymentSubscriber({ paymentEvents }: Config['orders']): Subscriber {
  return {
    name: 'orders.settle-payments',
    topics: [orderConfirmed.name],
    mode: 'batch',
    handle: async (tx, changes) => {
      if (paymentEvents !== 'log') return
      await makePaymentsDue(tx, [...new Set(changes.map((change) => change.subject.id))])
    },
  }
}

/** Tells customer and sellers of orders that were accepted or cancelled, each once per change and address, sellers of their own lines only. */
export const orderMailSubscriber: Subscriber = {
  name: 'orders.order-mails',
  topics: [orderAccepted.name, orderCancelled.name],
  mode: 'batch',
  handle: async (tx, changes) => {
    const found = await listOrders(tx, [...new Set(changes.map((change) => change.subject.id))])
    const orders = new Map(found.map((order) => [order.id, order]))
    const users = await usersByIds(tx, [...new Set(found.flatMap(peopleOf))])
    await queueMails(
      tx,
      changes.flatMap((change) => {
        const order = orders.get(change.subject.id)
        return order === undefined ? [] : mailsAbout(change, order, users)
      }),
    )
  },
}

function peopleOf({ customerId, lines }: Order): string[] {
  return [customerId, ...lines.map((line) => line.sellerId)]
}

/** Lines, titles and prices never change after an order was placed, so this says what was true then, whenever it runs. */
function mailsAbout(change: Change, order: Order, users: ReadonlyMap<string, User>): NewMail[] {
  const { reason = null } = change.data as { reason?: OrderMail['reason'] }
  const happening = change.topic === orderAccepted.name ? 'accepted' : 'cancelled'
  const { id: orderId, lines, total } = order
  const mailTo = (userId: string, mail: Pick<OrderMail, 'to' | 'lines' | 'total' | 'reason'>): NewMail[] => {
    const address = users.get(userId)?.email ?? null
    return address === null ? [] : [newOrderMail(change.id, address, { ...mail, happening, orderId })]
  }
  return [
    ...mailTo(order.customerId, { to: 'customer', lines: lines.map(mailedLine), total, reason }),
    ...salesOf(lines).flatMap(({ sellerId, subtotal, lines: sold }) =>
      mailTo(sellerId, { to: 'seller', lines: sold.map(mailedLine), total: subtotal, reason: null }),
    ),
  ]
}

function mailedLine({ title, variant, quantity, unitPrice }: OrderMail['lines'][number]): OrderMail['lines'][number] {
  return { title, variant, quantity, unitPrice }
}
