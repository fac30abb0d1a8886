import { expect, it } from 'vitest'

import { orderMail, type OrderMail } from './order-mails.ts'

const mail: OrderMail = {
  to: 'customer',
  happening: 'cancelled',
  reason: 'payment-declined',
  orderId: '0193e3a0-7c1e-7000-8000-3f2a5c9d1b47',
  lines: [
    { title: 'Vase <b>', variant: 'blue', quantity: 2, unitPrice: 1_250 },
    { title: 'Pin', variant: 'default', quantity: 1, unitPrice: 5 },
  ],
  total: 2_505,
}

it('says what was ordered, why it ended, and the sum', () => {
  const { subject, text, html } = orderMail.render(mail)

  expect(subject).toBe('Your order was cancelled')
  expect(text).toContain('The payment was declined. Order 0193e3a0-7c1e-7000-8000-3f2a5c9d1b47.')
  expect(text).toContain('2 × Vase <b> (blue) at 12.50\n1 × Pin at 0.05')
  expect(text).toContain('Total: 25.05')
  expect(html).toContain('Vase &lt;b&gt;')
})

it('does not tell a seller why the customer did not pay', () => {
  const { subject, text } = orderMail.render({ ...mail, to: 'seller', reason: null })

  expect(subject).toBe('An order of your products was cancelled')
  expect(text).not.toContain('payment')
})
