import { Compile, type Validator } from 'typebox/compile'

import type { Tx } from '../platform/db/db.ts'
import { join, sql, type Sql } from '../platform/db/sql.ts'
import { faultPoint } from '../platform/fault.ts'
import { newId } from '../platform/ids.ts'
import type { NewChange, Topic } from './topic.ts'
import { wakeAfterCommit } from './wake.ts'

/** A change is a fact with what its consequences must say, not a document. */
const MAX_DATA_BYTES = 16 * 1024
/** Above this, one change per chunk of the readers. */
const MAX_AUDIENCE = 10_000
const AUDIENCE_KEY = /^(?:public|staff|(?:user|account):[0-9a-f-]{36})$/

/**
 * Appends one change to the outbox in the transaction of the change itself and returns its id: it becomes part of the log if and only if
 * the transaction commits. Call it after the row named by `key` is locked, so that the changes of one key are numbered in commit order.
 * Data that does not fit the topic's schema, or 16 KiB, is a fault of the caller: it throws, and the transaction must not commit.
 */
export async function recordChange<T extends Topic>(tx: Tx, change: NewChange<T>): Promise<string> {
  const [id] = await recordChanges(tx, [change])
  return id!
}

/**
 * Appends several changes in the order given, otherwise as `recordChange`; those of a transaction go in one statement with its COMMIT, unless
 * they are too long for that. Returns their ids.
 */
export async function recordChanges<T extends Topic>(tx: Tx, changes: readonly NewChange<T>[]): Promise<string[]> {
  if (changes.length === 0) return []
  const rows = changes.map(toRow)
  const recorded = recordedBy.get(tx) ?? startRecord(tx)
  const tooLong = lengthOf(recorded) >= MAX_WAITING ? recorded.splice(0) : []
  recorded.push(...rows)
  if (tooLong.length > 0) await tx.run(insertRows(tooLong))
  faultPoint('after-record')
  return rows.map((row) => row.id)
}

/** Characters of data after which a transaction does not wait for its COMMIT: making a statement of them holds the event loop. */
const MAX_WAITING = 128 * 1024

/** What each open transaction has recorded and not sent; never empty at its end. */
const recordedBy = new WeakMap<Tx, Row[]>()

function startRecord(tx: Tx): Row[] {
  const recorded: Row[] = []
  recordedBy.set(tx, recorded)
  tx.withCommit(() => insertRows(recorded))
  wakeAfterCommit(tx)
  return recorded
}

function lengthOf(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => sum + row.data.length, 0)
}

/** Most transactions record no more; each number is a statement of its own. */
const MAX_LISTED = 4

/** A list of values costs a third of what arrays do for one change, and no more for a few. */
function insertRows(rows: readonly Row[]): Sql {
  return sql`
    INSERT INTO outbox (id, topic, subject_type, subject_id, key, actor, audience, data)
    ${rows.length <= MAX_LISTED ? sql`VALUES ${join(rows.map(listed))}` : unnested(rows)}`
}

function listed({ id, topic, subjectType, subjectId, key, actor, audience, data }: Row): Sql {
  return sql`(${id}::uuid, ${topic}::text, ${subjectType}::text, ${subjectId}::text, ${key}::text,
      ${actor}::uuid, ${audience}::text[], ${data}::jsonb)`
}

function unnested(rows: readonly Row[]): Sql {
  const column = <K extends keyof Row>(name: K): Row[K][] => rows.map((row) => row[name])
  return sql`
    SELECT id, topic, subject_type, subject_id, key, actor, audience::text[], data::jsonb
    FROM unnest(${column('id')}::uuid[], ${column('topic')}::text[], ${column('subjectType')}::text[], ${column('subjectId')}::text[],
                ${column('key')}::text[], ${column('actor')}::uuid[], ${column('audience')}::text[], ${column('data')}::text[])
         WITH ORDINALITY AS given (id, topic, subject_type, subject_id, key, actor, audience, data, place)
    ORDER BY place`
}

interface Row {
  id: string
  topic: string
  subjectType: string
  subjectId: string
  key: string
  actor: string | null
  audience: string
  data: string
}

function toRow<T extends Topic>(change: NewChange<T>): Row {
  const { topic, subjectId, actor } = change
  return {
    id: newId(),
    topic: topic.name,
    subjectType: topic.subject,
    subjectId,
    key: change.key ?? `${topic.subject}:${subjectId}`,
    actor,
    audience: audienceLiteral(topic, change.audience),
    data: serialize(topic, change.data),
  }
}

/** The text form of an array column; no key has a character that would need quoting. */
function audienceLiteral(topic: Topic, audience: readonly string[]): string {
  const keys = new Set(audience)
  if (keys.size === 0) throw refusal(topic, 'needs at least one audience key')
  if (keys.size > MAX_AUDIENCE) throw refusal(topic, `has more than ${MAX_AUDIENCE} audience keys`)
  for (const key of keys) if (!AUDIENCE_KEY.test(key)) throw refusal(topic, 'has an audience key that is none')
  return `{${[...keys].join(',')}}`
}

function serialize(topic: Topic, data: unknown): string {
  const validator = validatorOf(topic)
  if (!validator.Check(data)) {
    // Places and rules only: the values may be what must not be logged.
    const faults = validator.Errors(data).map((error) => `${error.instancePath || '/'} ${error.message}`)
    throw refusal(topic, `has data against its schema: ${faults.slice(0, 5).join('; ')}`)
  }
  const text = storableJson(data)
  const size = Buffer.byteLength(text)
  if (size > MAX_DATA_BYTES) throw refusal(topic, `has ${size} bytes of data, at most ${MAX_DATA_BYTES}`)
  return text
}

/** jsonb takes neither NUL nor half of a surrogate pair; what a text column would hold of them is the replacement character, too. */
function storableJson(data: unknown): string {
  const text = JSON.stringify(data)
  // Both are written as an escape, which little else is: looking at each value costs as much as all the rest.
  return text.includes('\\u') ? JSON.stringify(data, storableText) : text
}

function storableText(_name: string, value: unknown): unknown {
  return typeof value === 'string' ? value.replace(UNSTORABLE, '\ufffd') : value
}

const UNSTORABLE = /\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

const validators = new WeakMap<Topic, Validator>()

function validatorOf(topic: Topic): Validator {
  const known = validators.get(topic)
  if (known !== undefined) return known
  const compiled = Compile(topic.data)
  validators.set(topic, compiled)
  return compiled
}

function refusal(topic: Topic, why: string): Error {
  return new Error(`change ${topic.name} ${why}`)
}
