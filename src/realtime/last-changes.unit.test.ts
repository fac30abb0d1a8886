import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { ChangeLog, LoggedChange } from '../changes/index.ts'
import type { Queryable } from '../platform/db/db.ts'
import { readLastChanges } from './last-changes.ts'

const noDatabase = {} as Queryable

describe('readLastChanges', () => {
  it('finds exactly the last ones, wherever in the log they lie, in few reads', async () => {
    // Runs of matching and of other positions: bursts, deserts, and everything between.
    const runs = fc.array(fc.tuple(fc.nat(3_000), fc.nat(3_000)), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(runs, fc.integer({ min: 1, max: 500 }), fc.nat(50), async (lengths, limit, dropped) => {
        const positions: number[] = []
        let head = 0
        for (const [others, matching] of lengths) {
          head += others
          for (let n = 0; n < matching; n++) positions.push(++head)
        }
        const oldest = Math.min(dropped + 1, head + 1)
        const log = countingLog(positions)

        const changes = await readLastChanges(noDatabase, log, { oldest, upTo: head, audience: 'all', limit })

        expect(changes.map(({ position }) => position)).toEqual(positions.filter((p) => p >= oldest).slice(-limit))
        expect(log.reads).toBeLessThan(30)
      }),
    )
  })
})

function countingLog(positions: number[]): Pick<ChangeLog, 'read'> & { reads: number } {
  return {
    reads: 0,
    async read(_db, { after, upTo = Number.MAX_SAFE_INTEGER, limit }) {
      this.reads += 1
      const found = positions.filter((position) => position > after && position <= upTo).slice(0, limit)
      return found.map((position) => ({ position }) as LoggedChange)
    },
  }
}
