import { describe, expect, it } from 'vitest'

import { defineStateMachine, nextState, triggersOf } from './state-machine.ts'

const door = defineStateMachine({
  noun: 'door',
  states: { OPEN: {}, SHUT: {}, WALLED_UP: { isFinal: true, description: 'There is no door any more.' } },
  transitions: [
    { from: null, to: 'SHUT', trigger: 'build' },
    { from: 'SHUT', to: 'OPEN', trigger: 'open', guard: 'unlocked' },
    { from: 'OPEN', to: 'SHUT', trigger: 'shut' },
    { from: 'SHUT', to: 'WALLED_UP', trigger: 'wall up' },
  ],
})

describe('nextState', () => {
  it.each([
    [null, { build: 'SHUT', open: undefined, shut: undefined, 'wall up': undefined }],
    ['SHUT', { build: undefined, open: 'OPEN', shut: undefined, 'wall up': 'WALLED_UP' }],
    ['OPEN', { build: undefined, open: undefined, shut: 'SHUT', 'wall up': undefined }],
    ['WALLED_UP', { build: undefined, open: undefined, shut: undefined, 'wall up': undefined }],
  ] as const)('leads from %s only where the table says', (state, expected) => {
    const found = triggersOf(door).map((trigger) => [trigger, nextState(door, state, trigger)])

    expect(Object.fromEntries(found)).toEqual(expected)
  })
})

describe('defineStateMachine', () => {
  const made = { from: null, to: 'ONE', trigger: 'make' } as const

  it.each([
    [
      'a state that nothing leads to',
      { ONE: { isFinal: true }, TWO: { isFinal: true } },
      [made],
      'TWO cannot be reached',
    ],
    [
      'an island of states',
      { ONE: { isFinal: true }, TWO: {}, THREE: {} },
      [made, { from: 'TWO', to: 'THREE', trigger: 'go' }, { from: 'THREE', to: 'TWO', trigger: 'return' }],
      'TWO cannot be reached; THREE cannot be reached',
    ],
    ['a dead end that is not final', { ONE: {} }, [made], 'ONE is not final and never left'],
    [
      'a final state that is left',
      { ONE: { isFinal: true } },
      [made, { from: 'ONE', to: 'ONE', trigger: 'again' }],
      'ONE is final and yet left',
    ],
    [
      'one trigger with two outcomes',
      { ONE: { isFinal: true }, TWO: { isFinal: true } },
      [made, { from: null, to: 'TWO', trigger: 'make' }],
      'make from nothing leads to more than one state',
    ],
    [
      'a state that is none',
      { ONE: { isFinal: true } },
      [made, { from: null, to: 'SIX', trigger: 'dream' }],
      'SIX is not one of its states',
    ],
    [
      'a trigger that would break a diagram',
      { ONE: { isFinal: true } },
      [{ ...made, trigger: 'a:b' }],
      'a:b is no words',
    ],
    ['a state in small letters', { one: { isFinal: true } }, [{ ...made, to: 'one' }], 'one is not in capitals'],
  ])('refuses %s', (_name, states, transitions, fault) => {
    const define = () => defineStateMachine<Record<string, object>, string>({ noun: 'thing', states, transitions })

    expect(define).toThrow(`state machine "thing": ${fault}`)
  })

  it('refuses a noun that is no path', () => {
    const define = () => defineStateMachine({ noun: 'A/b', states: { ONE: { isFinal: true } }, transitions: [made] })

    expect(define).toThrow('the noun is not kebab-case')
  })
})
