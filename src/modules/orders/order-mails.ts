import { defineMailTemplate, type NewMail } from '../../delivery/index.ts'
import { html, mailLayout } from '../../platform/mail/html.ts'
import type { CancelReason } from './order-changes.ts'

interface MailedLine {
  title: string
  variant: string
  quantity: number
  /** Minor units, of one. */
  unitPrice: number
}

export interface OrderMail {
  to: 'customer' | 'seller'
  happening: 'accepted' | 'cancelled'
  /** Why an order was cancelled, for its customer. */
  reason: CancelReason | null
  orderId: string
  /** Those the reader may see. */
  lines: MailedLine[]
  /** Their sum. */
  total: number
}

const HEADER = 'Souk'
const FOOTER = 'You receive this mail because you buy or sell on this marketplace.'

/** To the customer with the whole order, to each seller with that seller's lines. */
export const orderMail = defineMailTemplate<OrderMail>({
  name: 'orders.order-mail',
  render: (mail) => {
    const heading = headings[mail.to][mail.happening]
    const sentence = `${opening(mail)} Order ${mail.orderId}.`
    const lines = mail.lines.map(describeLine)
    const total = `Total: ${inUnits(mail.total)}`
    const body = html`<p>${sentence}</p>
      <ul>
        ${lines.map((line) => html`<li>${line}</li> `)}
      </ul>
      <p>${total}</p>`
    return {
      subject: heading,
      html: mailLayout({ header: HEADER, heading, body, footer: FOOTER }),
      text: [HEADER, heading, sentence, lines.join('\n'), total, FOOTER].join('\n\n'),
    }
  },
})

/** A mail under a key that is the same whenever the same change is read again. */
export function newOrderMail(changeId: string, address: string, values: OrderMail): NewMail {
  const key = `${changeId}:${values.to}:${address}`
  return { key, template: orderMail.name, to: address, values, group: 'orders' }
}

const headings = {
  customer: { accepted: 'Your order was accepted', cancelled: 'Your order was cancelled' },
  seller: { accepted: 'You have sold something', cancelled: 'An order of your products was cancelled' },
} as const

const reasons: Record<CancelReason, string> = {
  customer: 'It was called off, as you wished.',
  'payment-declined': 'The payment was declined.',
  'customer-deleted': 'Your account was deleted.',
}

function opening({ to, happening, reason }: OrderMail): string {
  if (happening === 'accepted')
    return to === 'customer' ? 'Thank you.' : 'These of your products were ordered and paid.'
  return to === 'customer' && reason !== null ? reasons[reason] : 'The units are free again.'
}

function describeLine({ title, variant, quantity, unitPrice }: MailedLine): string {
  const name = variant === 'default' ? title : `${title} (${variant})`
  return `${quantity} × ${name} at ${inUnits(unitPrice)}`
}

/** Prices have two decimals and no currency. */
function inUnits(minorUnits: number): string {
  const digits = String(minorUnits).padStart(3, '0')
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`
}
