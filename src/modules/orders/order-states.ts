import { defineStateMachine } from '../../platform/state-machine.ts'

/** The life of an order (store contract, section 5.2). */
export const orderStates = defineStateMachine({
  noun: 'order',
  states: {
    PENDING_CONFIRMATION: { description: 'The units are set aside until the time to confirm has passed.' },
    CONFIRMED: { description: 'Payment details were given; the payment is under way.' },
    ACCEPTED: { description: 'Paid, or accepted by staff.' },
    SHIPPED: { description: 'On its way to the customer.', isFinal: true },
    NOT_CONFIRMED: { description: 'The time to confirm has passed.', isFinal: true },
    CANCELLED: { description: 'Called off, or the payment was declined.', isFinal: true },
  },
  transitions: [
    { from: null, to: 'PENDING_CONFIRMATION', trigger: 'place', guard: 'all units free', effect: 'stock taken' },
    {
      from: 'PENDING_CONFIRMATION',
      to: 'CONFIRMED',
      trigger: 'confirm',
      guard: 'own order, in time, payment details given',
      effect: 'payment pending',
    },
    {
      from: 'PENDING_CONFIRMATION',
      to: 'NOT_CONFIRMED',
      trigger: 'expire',
      guard: 'time to confirm has passed',
      effect: 'stock returned',
    },
    {
      from: 'PENDING_CONFIRMATION',
      to: 'CANCELLED',
      trigger: 'cancel',
      guard: 'own order, or its customer is deleted',
      effect: 'stock returned',
    },
    { from: 'CONFIRMED', to: 'ACCEPTED', trigger: 'payment accepted' },
    { from: 'CONFIRMED', to: 'ACCEPTED', trigger: 'accept', guard: 'staff' },
    { from: 'CONFIRMED', to: 'CANCELLED', trigger: 'payment declined', effect: 'stock returned' },
    {
      from: 'CONFIRMED',
      to: 'CANCELLED',
      trigger: 'cancel',
      guard: 'own order',
      effect: 'stock returned, payment taken back',
    },
    { from: 'ACCEPTED', to: 'SHIPPED', trigger: 'ship', guard: 'staff' },
  ],
})

export type OrderState = (typeof orderStates)['states'][number]['name']
export type OrderTrigger = (typeof orderStates)['transitions'][number]['trigger']
