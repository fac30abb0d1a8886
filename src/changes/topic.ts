import type { Static, TObject, TProperties } from 'typebox'

import type { Caller } from '../platform/http/caller.ts'
import type { Queryable } from '../platform/db/db.ts'
import { closeObjects } from './close-objects.ts'

/** Who may hear a change: everybody signed in, staff only, one user, or the members of one account. Staff hear everything. */
export type AudienceKey = 'public' | 'staff' | `user:${string}` | `account:${string}`

export interface Topic<Data extends TProperties = TProperties> {
  /** `module.noun.past-tense` */
  readonly name: string
  /** One sentence: what has happened. Shown at `/api/topics/` and in `docs/changes.md`. */
  readonly description: string
  /** The noun of `subject.type`. */
  readonly subject: string
  /** For people: who hears it. */
  readonly heardBy: string
  /** Shape of `data`: what the least privileged reader may see; unknown members are refused when recording. */
  readonly data: TObject<Data>
  /**
   * Asked once per page of a replay or HTTP read, for older changes as well: the ids of those changes that the caller may no longer see
   * although the audience matched (a product withdrawn since). Without it the audience alone decides.
   */
  readonly hiddenNow?: (db: Queryable, caller: Caller, changes: readonly Change[]) => Promise<ReadonlySet<string>>
}

/** A committed change in its place in the log. */
export interface Change<Data = unknown> {
  position: number
  /** UUIDv7, the same at every reader and over every repetition. */
  id: string
  topic: string
  subject: { type: string; id: string }
  /** The row whose lock orders the changes: changes of one key are in commit order. */
  key: string
  actor: string | null
  audience: AudienceKey[]
  data: Data
  time: string
}

/** A change as it was read. */
export interface LoggedChange extends Change {
  /** `data` as the JSON text that the database keeps; it is parsed when somebody first looks at `data`. Not enumerable. */
  readonly json: string
}

export interface NewChange<T extends Topic> {
  topic: T
  subjectId: string
  /** Default: `<subject>:<subjectId>`. */
  key?: string
  actor: string | null
  audience: AudienceKey[]
  data: T extends Topic<infer Data> ? Static<TObject<Data>> : never
}

const TOPIC_NAME = /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*){2}$/

/** Declares a topic. The object is shared by whoever records it and whoever lists the topics; every object in its schema is closed. */
export function defineTopic<Data extends TProperties>(topic: Topic<Data>): Topic<Data> {
  if (!TOPIC_NAME.test(topic.name)) throw new Error(`topic "${topic.name}" is not module.noun.past-tense`)
  return Object.freeze({ ...topic, data: closeObjects(topic.data) })
}
