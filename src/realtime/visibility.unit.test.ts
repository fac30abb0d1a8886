import { Type } from 'typebox'
import { beforeEach, describe, expect, it } from 'vitest'

import { defineTopic, type LoggedChange } from '../changes/index.ts'
import type { Db } from '../platform/db/db.ts'
import type { Caller } from '../platform/http/caller.ts'
import { createEntry, type Entry } from './entry.ts'
import { createVisibility } from './visibility.ts'

const OWNER = 'owner'
let now = 0
let hiddenIds = new Set<string>()
let questions: { userId: string; ids: string[] }[] = []

beforeEach(() => {
  now = 0
  hiddenIds = new Set(['2'])
  questions = []
})

/** Shown to its owner even when it is hidden from the rest. */
const shown = defineTopic({
  name: 'test.thing.shown',
  description: 'A thing was shown.',
  subject: 'thing',
  heardBy: 'everybody',
  data: Type.Object({}),
  hiddenNow: async (_db, caller, changes) => {
    questions.push({ userId: caller.userId, ids: changes.map(({ id }) => id) })
    return caller.userId === OWNER ? new Set() : hiddenIds
  },
})

const visible = createVisibility({ db: {} as Db, topics: [shown], slots: (work) => work(), now: () => now })

describe('what is still visible', () => {
  it('leaves out what the caller may no longer see', async () => {
    const seen = await visible(caller('ada'), page('1', '2', '3'))

    expect(idsOf(seen)).toEqual(['1', '3'])
  })

  it('shows the owner what is hidden from strangers', async () => {
    const seen = await visible(caller(OWNER), page('1', '2', '3'))

    expect(idsOf(seen)).toEqual(['1', '2', '3'])
  })

  it('asks once about strangers, however many come back together, and per caller only about what they may not see', async () => {
    const shared = page('1', '2', '3')

    await Promise.all([visible(caller('ada'), shared), visible(caller('bob'), shared), visible(caller('eve'), shared)])

    const nil = '00000000-0000-0000-0000-000000000000'
    expect(questions).toEqual([
      { userId: nil, ids: ['1', '2', '3'] },
      { userId: 'ada', ids: ['2'] },
      { userId: 'bob', ids: ['2'] },
      { userId: 'eve', ids: ['2'] },
    ])
  })

  it('asks again after a moment, so that a right that has ended shows', async () => {
    const shared = page('1', '2', '3')
    await visible(caller('ada'), shared)

    hiddenIds = new Set(['1', '2', '3'])
    now += 300

    expect(idsOf(await visible(caller('ada'), shared))).toEqual([])
  })

  it('asks nothing for staff and for topics without a question', async () => {
    const other = createEntry({ ...change('4'), topic: 'test.thing.other' }, 'e')

    expect(await visible({ ...caller('ada'), isStaff: true }, page('1', '2'))).toHaveLength(2)
    expect(await visible(caller('ada'), [other])).toEqual([other])
    expect(questions).toEqual([])
  })
})

function idsOf(entries: readonly Entry[]): string[] {
  return entries.map((entry) => entry.change.id)
}

function page(...ids: string[]): Entry[] {
  return ids.map((id) => createEntry(change(id), 'e'))
}

function change(id: string): LoggedChange {
  const rest = { subject: { type: 'thing', id }, key: `thing:${id}`, actor: null, data: {}, json: '{}', time: '' }
  return { position: Number(id), id, topic: shown.name, audience: ['public'], ...rest }
}

function caller(userId: string): Caller {
  const rest = { username: userId, email: null, isStaff: false, isSuperuser: false, scopes: ['read' as const] }
  return { ...rest, userId, signInId: 's', via: 'token' }
}
