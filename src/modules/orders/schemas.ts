import { Type } from 'typebox'

import { pageSchema } from '../../platform/http/paging.ts'
import { nullable, timestampSchema, uuidSchema } from '../../platform/http/schemas.ts'
import { orderStates } from './order-states.ts'
import { paymentMethods } from './payment-queries.ts'

const stateSchema = Type.Enum(orderStates.states.map(({ name }) => name))
const amount = (description: string) => Type.Integer({ description: `${description}, in minor units.` })

const line = {
  product_id: uuidSchema,
  variant: Type.String(),
  quantity: Type.Integer(),
  unit_price: amount('When the order was placed'),
}

export const orderSchema = Type.Object(
  {
    id: uuidSchema,
    state: stateSchema,
    order_line_items: Type.Array(Type.Object(line)),
    total: amount('The sum'),
    customer_id: uuidSchema,
    confirm_before: timestampSchema,
    payment: nullable(
      Type.Object(
        { method: Type.Enum([...paymentMethods]), status: Type.Enum(['pending', 'accepted', 'declined']) },
        { description: 'Null before confirmation.' },
      ),
    ),
    created: timestampSchema,
    updated: timestampSchema,
  },
  { title: 'Order' },
)

export const orderPageSchema = pageSchema(orderSchema)

export const placeOrderBody = Type.Object({
  products: Type.Array(
    Type.Object({
      id: uuidSchema,
      variant: Type.Optional(Type.String({ default: 'default', examples: ['default'] })),
      quantity: Type.Integer({ minimum: 1, examples: [1] }),
    }),
    { minItems: 1, maxItems: 100, description: 'No product and variant twice.' },
  ),
})

/** The text does not repeat what was sent: it may be a card number in the wrong place. */
const methodSchema = Type.Enum([...paymentMethods], {
  examples: ['card'],
  'x-messages': { enum: `Must be one of ${paymentMethods.join(', ')}.` },
})

export const confirmOrderBody = Type.Object({
  payment: Type.Object(
    {
      method: methodSchema,
      reference: Type.Optional(
        Type.String({
          maxLength: 64,
          examples: ['invoice 7'],
          description: 'Nothing that looks like a card number (13 to 19 digits). Never shown again.',
        }),
      ),
    },
    { 'x-messages': { required: 'Payment details are required to confirm an order.' } },
  ),
})

export const saleSchema = Type.Object(
  {
    order_id: uuidSchema,
    state: stateSchema,
    order_line_items: Type.Array(Type.Object({ ...line, title: Type.String() }), {
      description: 'Your own products only.',
    }),
    subtotal: amount('The sum of these lines'),
    customer: Type.Object({ id: uuidSchema, username: nullable(Type.String()) }),
    created: timestampSchema,
    updated: timestampSchema,
  },
  { title: 'Sale' },
)

export const salePageSchema = pageSchema(saleSchema)
