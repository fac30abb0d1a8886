import { recordChange } from '../../../changes/index.ts'
import { distinctTimestamp } from '../../../platform/clock.ts'
import { violates, type Queryable, type Tx } from '../../../platform/db/db.ts'
import { InvalidError, NotFoundError } from '../../../platform/errors.ts'
import { foldCase } from '../../../platform/fold-case.ts'
import { fetchPage, type Page, type PageRequest } from '../../../platform/http/paging.ts'
import { newId } from '../../../platform/ids.ts'
import { fold } from '../search/fold.ts'
import { forgetTagName } from '../search/tag-names.ts'
import { findTag, insertTag, listTagRows, lockTag, markTagDeleted, saveTag, type TagRow } from './tag-queries.ts'
import { tagChanged, tagCreated, tagDeleted } from './topics.ts'

export interface NewTag {
  name: string
  description: string
}

/** Members that are absent keep their value. */
export interface TagPatch {
  name?: string | undefined
  description?: string | undefined
}

export interface TagFilter {
  searchTerm: string
  prefix: string
}

/** The tags whose name passes the filter, oldest first. */
export function listTags(db: Queryable, { searchTerm, prefix }: TagFilter, page: PageRequest): Promise<Page<TagRow>> {
  const filter = { part: fold(searchTerm), prefix: fold(prefix), after: page.offset ?? '-infinity' }
  return fetchPage(
    (limit) => listTagRows(db, filter, limit),
    page.pageSize,
    (tag) => tag.created,
  )
}

export async function getTag(db: Queryable, id: string): Promise<TagRow> {
  const tag = await findTag(db, id)
  if (tag === undefined) throw new NotFoundError()
  return tag
}

/** Throws InvalidError when a tag of this name exists, whatever its case. */
export async function createTag(tx: Tx, actor: string, { name, description }: NewTag, now: Date): Promise<TagRow> {
  const tag = { id: newId(), name, description, created: distinctTimestamp(now) }
  await refuseTaken(insertTag(tx, tag, keysOf(name)))
  await record(tx, tagCreated, actor, tag)
  return tag
}

/** Changes what the patch names; what changes nothing leaves no trace. Products are found under a new name at once, under many in a moment. */
export async function changeTag(tx: Tx, actor: string, id: string, patch: TagPatch, now: Date): Promise<TagRow> {
  const before = await lockTag(tx, id)
  if (before === undefined) throw new NotFoundError()
  const { name = before.name, description = before.description } = patch
  const tag = { ...before, name, description }
  const isRenamed = tag.name !== before.name
  if (!isRenamed && tag.description === before.description) return before

  await refuseTaken(saveTag(tx, tag, keysOf(tag.name), distinctTimestamp(now)))
  if (isRenamed) await forgetTagName(tx, id)
  await record(tx, tagChanged, actor, tag)
  return tag
}

/** Deletes a tag softly: nothing shows it any more, and its name is free. */
export async function deleteTag(tx: Tx, actor: string, id: string, now: Date): Promise<void> {
  const tag = await lockTag(tx, id)
  if (tag === undefined) throw new NotFoundError()
  await markTagDeleted(tx, id, distinctTimestamp(now))
  await forgetTagName(tx, id)
  await record(tx, tagDeleted, actor, tag)
}

function keysOf(name: string): { key: string; folded: string } {
  return { key: foldCase(name), folded: fold(name) }
}

async function refuseTaken(write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error) {
    if (!violates(error, 'tags_name_key')) throw error
    throw InvalidError.fields({ name: ['A tag with this name already exists.'] })
  }
}

async function record(
  tx: Tx,
  topic: typeof tagCreated,
  actor: string,
  { id, name, description }: Pick<TagRow, 'id' | 'name' | 'description'>,
): Promise<void> {
  await recordChange(tx, { topic, subjectId: id, actor, audience: ['public'], data: { id, name, description } })
}
