import { sql } from '../../../platform/db/sql.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'

export interface ReportedProblem {
  item: number
  line: number
  id: string | null
  element: string
  rule: string
  value: string | null
}

export interface ReportRow extends ReportedProblem {
  ordinal: number
}

/**
 * Problems that a report keeps. An empty item breaks fifteen rules and takes seven bytes of a feed, which gzip makes a thousandth of: without
 * an end to the report, a few megabytes sent would fill the disk.
 */
export const MAX_REPORTED = 1_000_000

/** Appends problems, in the given order, to the report of an import that the caller has locked and that has had `before` of them. */
export async function insertProblems(
  tx: Tx,
  importId: string,
  before: number,
  all: readonly ReportedProblem[],
  maxReported = MAX_REPORTED,
): Promise<void> {
  const problems = all.slice(0, Math.max(maxReported - before, 0))
  if (problems.length === 0) return
  await tx.run(sql`
    INSERT INTO import_problems (import_id, ordinal, item, line, feed_id, element, rule, value)
    SELECT ${importId}, ${before}::bigint + n.ordinal, n.item, n.line, n.feed_id, n.element, n.rule, n.value
    FROM unnest(
      ${problems.map((problem) => problem.item)}::bigint[], ${problems.map((problem) => problem.line)}::bigint[],
      ${problems.map((problem) => problem.id)}::text[], ${problems.map((problem) => problem.element)}::text[],
      ${problems.map((problem) => problem.rule)}::text[], ${problems.map((problem) => problem.value)}::text[]
    ) WITH ORDINALITY AS n (item, line, feed_id, element, rule, value, ordinal)`)
}

/** A page of the report: the problems after `after`, in file order. */
export async function listProblems(
  db: Queryable,
  query: { importId: string; after: number; limit: number },
): Promise<ReportRow[]> {
  return db.rows<ReportRow>(sql`
    SELECT ordinal, item, line, feed_id AS id, element, rule, value FROM import_problems
    WHERE import_id = ${query.importId} AND ordinal > ${query.after} ORDER BY ordinal LIMIT ${query.limit}`)
}
