import { expect, it } from 'vitest'

import { nextState, triggersOf } from '../../../platform/state-machine.ts'
import { productStates } from './product-states.ts'

it('allows these steps and no others', () => {
  const states = [null, ...productStates.states.map(({ name }) => name)]
  const steps = states.flatMap((from) =>
    triggersOf(productStates).map((trigger) => [from, trigger, nextState(productStates, from, trigger)]),
  )

  expect(steps.filter(([, , to]) => to !== undefined)).toEqual([
    [null, 'create', 'AVAILABLE'],
    [null, 'create as draft', 'DRAFT'],
    ['DRAFT', 'publish', 'AVAILABLE'],
    ['DRAFT', 'delete', 'DELETED'],
    ['AVAILABLE', 'withdraw', 'DRAFT'],
    ['AVAILABLE', 'delete', 'DELETED'],
  ])
})
