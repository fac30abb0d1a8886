import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { parseClientFrame } from './client-frames.ts'

const parse = (value: unknown) => parseClientFrame(JSON.stringify(value), 50)

describe('parseClientFrame', () => {
  it('reads a subscription with a bookmark and a ref', () => {
    const frame = parse({ action: 'subscribe', topics: ['orders.*', 'orders.*'], since: 7, epoch: 'e', ref: 'r' })

    expect(frame).toEqual({ action: 'subscribe', topics: ['orders.*'], from: { since: 7, epoch: 'e' }, ref: 'r' })
  })

  it('reads a subscription from now on, whatever the epoch says', () => {
    expect(parse({ action: 'subscribe', topics: ['*'], epoch: 7 })).toMatchObject({
      action: 'subscribe',
      from: undefined,
    })
  })

  it('reads unsubscribe and ping', () => {
    expect(parse({ action: 'unsubscribe', topics: ['*'] })).toEqual({ action: 'unsubscribe', topics: ['*'] })
    expect(parse({ action: 'ping', ref: '' })).toEqual({ action: 'ping', ref: '' })
  })

  it.each([
    ['a number', 7],
    ['null', null],
    ['a list', [{ action: 'ping' }]],
    ['no action', {}],
    ['an unknown action', { action: 'publish' }],
    ['an action that is no text', { action: ['ping'] }],
    ['no topics', { action: 'subscribe' }],
    ['an empty list of topics', { action: 'subscribe', topics: [] }],
    ['a text for topics', { action: 'subscribe', topics: '*' }],
    ['a topic that is no text', { action: 'subscribe', topics: [1] }],
    ['a topic that is no pattern', { action: 'unsubscribe', topics: ['a.*.b'] }],
    ['too many topics', { action: 'subscribe', topics: Array.from({ length: 51 }, (_, n) => `t${n}`) }],
    ['a text for since', { action: 'subscribe', topics: ['*'], since: '7', epoch: 'e' }],
    ['null for since', { action: 'subscribe', topics: ['*'], since: null, epoch: 'e' }],
    ['a negative since', { action: 'subscribe', topics: ['*'], since: -1, epoch: 'e' }],
    ['half a position', { action: 'subscribe', topics: ['*'], since: 1.5, epoch: 'e' }],
    ['a position no number can hold', { action: 'subscribe', topics: ['*'], since: 1e300, epoch: 'e' }],
    ['since without epoch', { action: 'subscribe', topics: ['*'], since: 7 }],
    ['a ref that is no text', { action: 'ping', ref: 7 }],
    ['a ref of 65 characters', { action: 'ping', ref: 'r'.repeat(65) }],
  ])('refuses %s', (_what, value) => {
    expect(parse(value)).toMatchObject({ action: 'refused', message: expect.stringMatching(/\.$/) as unknown })
  })

  it('echoes a good ref with a refusal', () => {
    expect(parse({ action: 'shout', ref: 'r'.repeat(64) })).toMatchObject({ action: 'refused', ref: 'r'.repeat(64) })
  })

  it('never throws, whatever text arrives', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.constant('['.repeat(60_000))), (text) => {
        expect(parseClientFrame(text, 50)).toHaveProperty('action')
      }),
    )
  })
})
