import { newId } from '../platform/ids.ts'
import { sql } from '../platform/db/sql.ts'
import type { Tx } from '../platform/db/db.ts'
import type { NewChange, Topic } from './topic.ts'

/**
 * Appends one change to the outbox in the transaction of the change itself and returns its id: it becomes part of the log if and only if
 * the transaction commits. Call it after the row named by `key` is locked, so that the changes of one key are numbered in commit order.
 */
export async function recordChange<T extends Topic>(tx: Tx, change: NewChange<T>): Promise<string> {
  const id = newId()
  const { topic, subjectId } = change
  const key = change.key ?? `${topic.subject}:${subjectId}`
  await tx.run(sql`
    INSERT INTO outbox (id, topic, subject_type, subject_id, key, actor, audience, data)
    VALUES (${id}, ${topic.name}, ${topic.subject}, ${subjectId}, ${key}, ${change.actor}, ${change.audience}, ${change.data})`)
  return id
}
