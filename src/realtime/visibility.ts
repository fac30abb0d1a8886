import type { Topic } from '../changes/index.ts'
import type { Db } from '../platform/db/db.ts'
import type { Caller } from '../platform/http/caller.ts'
import type { Slots } from '../platform/slots.ts'
import type { Entry } from './entry.ts'

/** Older changes of a page without those that the caller may no longer see. */
export type Visible = (caller: Caller, entries: Entry[]) => Promise<Entry[]>

export interface VisibilityOptions {
  db: Db
  topics: readonly Topic[]
  slots: Slots
  now?: () => number
}

/** How long an answer about strangers serves everybody who comes back at the same time. */
const STRANGER_ANSWER_MS = 250

/** Somebody signed in who owns nothing and takes part in nothing. */
const stranger: Caller = {
  userId: '00000000-0000-0000-0000-000000000000',
  username: '',
  email: null,
  isStaff: false,
  isSuperuser: false,
  scopes: ['read'],
  signInId: null,
  via: 'token',
}

/**
 * Asks the owners of the topics what is still visible. Rights only add to what a stranger may see, so what a stranger may see now needs
 * no question per caller: a storm of thousands of readers costs the owners one question per page and quarter of a second, and only what
 * is hidden from strangers is asked for each caller. Staff hear everything.
 */
export function createVisibility(options: VisibilityOptions): Visible {
  const { db, slots } = options
  const now = options.now ?? (() => performance.now())
  const asked = new Map(
    options.topics.filter(({ hiddenNow }) => hiddenNow !== undefined).map((topic) => [topic.name, topic]),
  )

  /** The ids among these changes that the caller may not see; one question per topic. */
  async function findHidden(caller: Caller, entries: readonly Entry[]): Promise<Set<string>> {
    const hidden = new Set<string>()
    for (const [name, topic] of asked) {
      const changes = entries.filter((entry) => entry.change.topic === name).map((entry) => entry.change)
      if (changes.length === 0) continue
      for (const id of (await topic.hiddenNow?.(db, caller, changes)) ?? []) hidden.add(id)
    }
    return hidden
  }

  async function askForStrangers(entries: Entry[]): Promise<void> {
    // The moment before the question: what changes while it runs is not in the answer for certain.
    const askedAt = now()
    try {
      const hidden = await slots(() => findHidden(stranger, entries))
      for (const entry of entries) {
        entry.isHiddenFromStrangers = hidden.has(entry.change.id)
        entry.checkedAt = askedAt
      }
    } finally {
      for (const entry of entries) entry.check = undefined
    }
  }

  return async (caller, entries) => {
    const questionable = caller.isStaff ? [] : entries.filter((entry) => asked.has(entry.change.topic))
    if (questionable.length === 0) return entries
    const stale = questionable.filter(
      ({ check, checkedAt }) => check === undefined && now() - checkedAt > STRANGER_ANSWER_MS,
    )
    if (stale.length > 0) {
      const check = askForStrangers(stale)
      for (const entry of stale) entry.check = check
    }
    await Promise.all(questionable.flatMap((entry) => entry.check ?? []))
    const doubtful = questionable.filter((entry) => entry.isHiddenFromStrangers)
    if (doubtful.length === 0) return entries
    const hidden = await slots(() => findHidden(caller, doubtful))
    return entries.filter((entry) => !hidden.has(entry.change.id))
  }
}
