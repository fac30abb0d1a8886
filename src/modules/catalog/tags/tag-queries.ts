import type { Timestamp } from '../../../platform/clock.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'
import { sql, type Sql } from '../../../platform/db/sql.ts'
import { LAST_CHARACTER } from '../search/fold.ts'
import { escapeLike } from '../search/product-filter.ts'
import { hasTrigram, keyedPattern } from '../search/trigrams.ts'

export interface TagRow {
  id: string
  name: string
  description: string
  created: Timestamp
}

const columns = sql`id, name, description, created`

/** Both texts folded; the empty one is no condition. */
export interface TagSearch {
  part: string
  prefix: string
  /** Only tags created after. */
  after: Timestamp
}

/** Tags looked at from the oldest before an index by name is asked: what one tag in twenty has fills a page with them. */
const NEAR = 2_000

/** The oldest tags that pass, so many of them and those as old as the last. */
export async function listTagRows(db: Queryable, search: TagSearch, limit: number): Promise<TagRow[]> {
  const later = sql`deleted IS NULL AND created > ${search.after}::timestamptz`
  const oldestFirst = sql`ORDER BY created FETCH FIRST ${limit} ROWS WITH TIES`
  if (search.part === '' && search.prefix === '') {
    return db.rows<TagRow>(sql`SELECT ${columns} FROM tags WHERE ${later} ${oldestFirst}`)
  }
  const near = await db.rows<TagRow>(sql`
    SELECT ${columns} FROM (SELECT * FROM tags WHERE ${later} ORDER BY created LIMIT ${NEAR}) tags
    WHERE ${namePasses(search)} ${oldestFirst}`)
  // One more than the page, created later than its last: the tags before it are all there.
  if (near.length >= limit && near.at(-1)!.created > near.at(-2)!.created) return near
  const condition = indexedCondition(search)
  if (condition === undefined) {
    // Within CASE the planner does not guess how many pass, and walks by time to the end of the page.
    const tested = sql`CASE WHEN ${namePasses(search)} THEN true ELSE false END`
    return db.rows<TagRow>(sql`SELECT ${columns} FROM tags WHERE ${later} AND ${tested} ${oldestFirst}`)
  }
  return db.rows<TagRow>(sql`
    SELECT ${columns} FROM (
      SELECT ${columns} FROM tags WHERE ${later} AND ${condition} AND ${namePasses(search)} OFFSET 0
    ) tags ${oldestFirst}`)
}

function namePasses({ part, prefix }: TagSearch): Sql {
  return sql`name_folded LIKE ${`%${escapeLike(part)}%`} AND name_folded LIKE ${`${escapeLike(prefix)}%`}`
}

/** What an index by name knows of those that pass: names from the prefix up to the next text that does not begin with it, or trigrams. */
function indexedCondition({ part, prefix }: TagSearch): Sql | undefined {
  if (prefix !== '') return sql`name_folded >= ${prefix} AND name_folded < ${prefix + LAST_CHARACTER}`
  return hasTrigram(part) ? sql`trigram_key(name_folded) LIKE ${keyedPattern(part).key}` : undefined
}

export function findTag(db: Queryable, id: string): Promise<TagRow | undefined> {
  return db.row<TagRow>(sql`SELECT ${columns} FROM tags WHERE id = ${id} AND deleted IS NULL`)
}

/** The row, locked against every other change and against those who are writing its name into search documents. */
export function lockTag(tx: Tx, id: string): Promise<TagRow | undefined> {
  return tx.row<TagRow>(sql`SELECT ${columns} FROM tags WHERE id = ${id} AND deleted IS NULL FOR NO KEY UPDATE`)
}

/** The name as it is compared and as it is searched. */
interface NameKeys {
  key: string
  folded: string
}

export async function insertTag(tx: Tx, tag: TagRow, { key, folded }: NameKeys): Promise<void> {
  await tx.run(sql`
    INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
    VALUES (${tag.id}, ${tag.name}, ${tag.description}, ${key}, ${folded}, ${tag.created}, ${tag.created})`)
}

export async function saveTag(tx: Tx, tag: TagRow, { key, folded }: NameKeys, updated: Timestamp): Promise<void> {
  await tx.run(sql`
    UPDATE tags SET name = ${tag.name}, description = ${tag.description}, name_key = ${key}, name_folded = ${folded},
      updated = ${updated} WHERE id = ${tag.id}`)
}

export async function markTagDeleted(tx: Tx, id: string, deleted: Timestamp): Promise<void> {
  await tx.run(sql`UPDATE tags SET deleted = ${deleted}, updated = ${deleted} WHERE id = ${id}`)
}
