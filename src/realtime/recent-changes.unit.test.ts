import { describe, expect, it } from 'vitest'

import type { Entry } from './entry.ts'
import { RecentChanges } from './recent-changes.ts'

describe('RecentChanges', () => {
  it('keeps the newest and drops the oldest past its number', () => {
    const recent = filled({ recentChanges: 16, recentBytes: 1e9 }, 100)

    expect(recent.end).toBe(100)
    expect(recent.end - recent.start).toBeLessThanOrEqual(16)
    expect(recent.between(recent.start, recent.end).map(({ position }) => position)).toEqual(range(recent.start, 100))
  })

  it('drops the oldest past its bytes, even a change that is too large alone', () => {
    const recent = filled({ recentChanges: 1_000, recentBytes: 1_000 }, 50)
    recent.append(entry(51, 5_000))

    expect(recent.bytes).toBeLessThanOrEqual(1_000)
    expect([recent.start, recent.end]).toEqual([51, 51])
  })

  it('takes older changes while there is room, and refuses them when not', () => {
    const recent = filled({ recentChanges: 16, recentBytes: 1e9 }, 4, 100)

    expect(recent.prepend(range(90, 100).map((position) => entry(position, 1)))).toBe(true)
    expect(recent.prepend([entry(90, 1)])).toBe(false)
    expect(recent.between(90, 104).map(({ position }) => position)).toEqual(range(90, 104))
  })

  it('refuses a change that does not follow', () => {
    const recent = filled({ recentChanges: 16, recentBytes: 1e9 }, 4)

    expect(() => recent.append(entry(6, 1))).toThrow('does not follow')
    expect(() => recent.between(-1, 3)).toThrow('no longer in memory')
  })
})

function filled(bounds: { recentChanges: number; recentBytes: number }, count: number, after = 0): RecentChanges {
  const recent = new RecentChanges(bounds)
  recent.reset(after)
  for (const position of range(after, after + count)) recent.append(entry(position, 10))
  return recent
}

function entry(position: number, bytes: number): Entry {
  return { position, bytes } as Entry
}

/** The positions after `after`, up to and with `upTo`. */
function range(after: number, upTo: number): number[] {
  return Array.from({ length: upTo - after }, (_, index) => after + index + 1)
}
