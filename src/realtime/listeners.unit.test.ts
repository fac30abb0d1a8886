import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { AudienceKey, LoggedChange } from '../changes/index.ts'
import { isAddressedTo, type Audience } from './audience.ts'
import { createEntry, type Entry } from './entry.ts'
import { Listeners, type Listener } from './listeners.ts'
import { coversTopic } from './topic-patterns.ts'

describe('Listeners', () => {
  it('gives a change once to a listener that several keys and patterns match', () => {
    const listeners = new Listeners()
    const listener = recorder()
    listeners.add(listener, ['public', 'user:ada'], ['*', 'orders.*', 'orders.order.placed'])

    const heard = listeners.dispatch(entry(1, 'orders.order.placed', ['public', 'user:ada']))

    expect(heard).toBe(1)
    expect(listener.positions).toEqual([1])
  })

  it('gives staff what is addressed to somebody else', () => {
    const listeners = new Listeners()
    const listener = recorder()
    listeners.add(listener, 'all', ['*'])

    listeners.dispatch(entry(1, 'orders.order.placed', ['user:ada']))
    listeners.dispatch(entry(2, 'orders.order.placed', ['staff']))

    expect(listener.positions).toEqual([1, 2])
  })

  it('keeps nothing of listeners that have left', () => {
    const listeners = new Listeners()
    const listener = recorder()
    listeners.add(listener, ['public', 'user:ada'], ['*', 'orders.*'])

    listeners.remove(listener, ['public', 'user:ada'], ['*', 'orders.*'])

    expect(listeners.dispatch(entry(1, 'orders.order.placed', ['public']))).toBe(0)
    expect(listeners.size).toBe(0)
  })

  it('reaches exactly those whose audience and topics match', () => {
    const topic = fc.constantFrom('a.b.c', 'a.b.d', 'a.x', 'z')
    const pattern = fc.constantFrom('*', 'a.*', 'a.b.*', 'a.b.c', 'z', 'q*')
    const key = fc.constantFrom<AudienceKey>('public', 'staff', 'user:1', 'user:2')
    const audience = fc.oneof(fc.constant<Audience>('all'), fc.uniqueArray(key, { minLength: 1 }))
    const interest = fc.record({ audience, patterns: fc.uniqueArray(pattern, { minLength: 1 }) })
    fc.assert(
      fc.property(
        fc.array(interest),
        fc.array(fc.record({ topic, keys: fc.uniqueArray(key) })),
        (interests, changes) => {
          const listeners = new Listeners()
          const recorders = interests.map(({ audience: to, patterns }) => {
            const listener = recorder()
            listeners.add(listener, to, patterns)
            return listener
          })

          changes.forEach(({ topic: name, keys }, index) => listeners.dispatch(entry(index + 1, name, keys)))

          const expected = interests.map(({ audience: to, patterns }) =>
            changes.flatMap(({ topic: name, keys }, index) =>
              isAddressedTo(to, keys) && coversTopic(patterns, name) ? [index + 1] : [],
            ),
          )
          expect(recorders.map(({ positions }) => positions)).toEqual(expected)
        },
      ),
    )
  })
})

function recorder(): Listener & { positions: number[] } {
  const positions: number[] = []
  return { lastHeard: 0, positions, hear: ({ position }) => positions.push(position) }
}

function entry(position: number, topic: string, audience: AudienceKey[]): Entry {
  const change: LoggedChange = {
    position,
    id: `id-${position}`,
    topic,
    subject: { type: 'thing', id: '1' },
    key: 'thing:1',
    actor: null,
    audience,
    data: {},
    json: '{}',
    time: '2026-01-31T09:15:02.123456Z',
  }
  return createEntry(change, 'e')
}
