import { defineStateMachine } from '../../../platform/state-machine.ts'

/** Store contract, section 3.1. Sold out is no state: it is a matter of each variant. */
export const productStates = defineStateMachine({
  noun: 'product',
  states: {
    DRAFT: { description: 'Seen by its owner alone; cannot be ordered.' },
    AVAILABLE: { description: 'Seen by everybody; can be ordered while units are free.' },
    DELETED: { description: 'Seen by nobody.', isFinal: true },
  },
  transitions: [
    { from: null, to: 'AVAILABLE', trigger: 'create', guard: 'valid body', effect: 'stock rows are made' },
    { from: null, to: 'DRAFT', trigger: 'create as draft', guard: 'valid body', effect: 'stock rows are made' },
    { from: 'DRAFT', to: 'AVAILABLE', trigger: 'publish', guard: 'owner' },
    {
      from: 'AVAILABLE',
      to: 'DRAFT',
      trigger: 'withdraw',
      guard: 'owner',
      effect: 'bags keep the line, checkout refuses it; pending orders go on',
    },
    { from: 'DRAFT', to: 'DELETED', trigger: 'delete', guard: 'owner', effect: 'stock rows are removed' },
    { from: 'AVAILABLE', to: 'DELETED', trigger: 'delete', guard: 'owner', effect: 'stock rows are removed' },
  ],
})

export type ProductState = (typeof productStates)['states'][number]['name']
