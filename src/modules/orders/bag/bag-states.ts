import { defineStateMachine } from '../../../platform/state-machine.ts'

/** The life of a bag (store contract, section 4). */
export const bagStates = defineStateMachine({
  noun: 'bag',
  states: {
    OPEN: { description: 'The one bag that its owner fills; nothing in it is reserved.' },
    CHECKED_OUT: { description: 'An order was made of it; the next use opens a new bag.', isFinal: true },
    DISCARDED: { description: 'Thrown away; the next use opens a new bag.', isFinal: true },
  },
  transitions: [
    { from: null, to: 'OPEN', trigger: 'open', guard: 'no other bag is open', effect: 'first use' },
    {
      from: 'OPEN',
      to: 'CHECKED_OUT',
      trigger: 'check out',
      guard: 'not empty, every line purchasable',
      effect: 'order made with its stock, in one transaction',
    },
    {
      from: 'OPEN',
      to: 'DISCARDED',
      trigger: 'discard',
      guard: 'owner, or the owner is deleted',
      effect: 'nothing to release',
    },
  ],
})

export type BagState = (typeof bagStates)['states'][number]['name']
