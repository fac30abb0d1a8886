import { beforeEach, describe, expect, it } from 'vitest'

import type { Caller } from '../platform/http/caller.ts'
import { Rights, type Session } from './rights.ts'

let now = 0
let rights = new Rights()

beforeEach(() => {
  now = 1_000
  rights = new Rights(() => now)
})

describe('Rights', () => {
  it('ends the sessions of one sign-in and no other', () => {
    const phone = open(caller('ada', 'phone'))
    const laptop = open(caller('ada', 'laptop'))
    const stranger = open(caller('bob', 'phone'))

    rights.apply({ userId: 'ada', signInIds: ['phone'] })

    expect([phone.ended, laptop.ended, stranger.ended]).toEqual([1, 0, 0])
  })

  it('ends all sessions of a user, HTTP Basic included, but the one that is kept', () => {
    const kept = open(caller('ada', 'phone'))
    const laptop = open(caller('ada', 'laptop'))
    const basic = open(caller('ada', null))

    rights.apply({ userId: 'ada', signInIds: 'all', except: 'phone' })

    expect([kept.ended, laptop.ended, basic.ended]).toEqual([0, 1, 1])
  })

  it('tells sessions of a change of staff that they are not yet', () => {
    const staff = open({ ...caller('ada', 'phone'), isStaff: true })
    const fresh = open(caller('ada', 'laptop'))

    rights.apply({ userId: 'ada', isStaff: false })

    expect([staff.staff, fresh.staff]).toEqual([[false], []])
  })

  it('refuses a session whose credential was looked at before its end was read', () => {
    rights.apply({ userId: 'ada', signInIds: ['phone'] })

    expect(rights.add(session(caller('ada', 'phone')), 999)).toBe(false)
    expect(rights.add(session(caller('ada', 'laptop')), 999)).toBe(true)
    expect(rights.add(session(caller('ada', 'phone')), 1_001)).toBe(true)
  })

  it('refuses what was looked at longer ago than it remembers', () => {
    rights.apply({ userId: 'ada', signInIds: 'all' })
    now += 61_000
    rights.apply({ userId: 'bob', signInIds: 'all' })

    expect(rights.hasEnded(caller('eve', 'phone'), 500)).toBe(true)
    expect(rights.hasEnded(caller('eve', 'phone'), 1_500)).toBe(false)
  })

  it('no longer tells sessions that have left', () => {
    const gone = open(caller('ada', 'phone'))
    rights.remove(gone)

    rights.apply({ userId: 'ada', signInIds: 'all' })

    expect(gone.ended).toBe(0)
  })
})

type Recorded = Session & { ended: number; staff: boolean[] }

function open(who: Caller): Recorded {
  const opened = session(who)
  rights.add(opened, now)
  return opened
}

function session(who: Caller): Recorded {
  return {
    caller: who,
    ended: 0,
    staff: [],
    endRights() {
      this.ended += 1
    },
    changeStaff(isStaff) {
      this.staff.push(isStaff)
    },
  }
}

function caller(userId: string, signInId: string | null): Caller {
  const rest = { username: userId, email: null, isStaff: false, isSuperuser: false, scopes: ['read' as const] }
  return { ...rest, userId, signInId, via: signInId === null ? 'basic' : 'token' }
}
