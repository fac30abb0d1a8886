import { sql } from '../platform/db/sql.ts'
import type { Queryable } from '../platform/db/db.ts'

/** Always: committed = pending + leased + parked + succeeded + failed. */
export interface DeliveryStats {
  kind: string
  destination: string
  /** Everything ever queued, counted where it was queued. */
  committed: number
  /** Waiting for a slot or for its time. */
  pending: number
  leased: number
  /** Waiting for an earlier one of its order key, or for its destination to be enabled. */
  parked: number
  succeeded: number
  failed: number
}

/**
 * The account of every destination, from one snapshot. The totals are added up from what queueing and finishing have written down; what is
 * unfinished is counted row by row, so a delivery that vanished, or came from nowhere, shows as a difference.
 */
export async function deliveryStats(db: Queryable): Promise<DeliveryStats[]> {
  return db.rows(sql`
    WITH totals AS (
      SELECT kind, destination, sum(committed)::int8 AS committed, sum(succeeded)::int8 AS succeeded, sum(failed)::int8 AS failed
        FROM delivery_counts GROUP BY kind, destination
    ), unfinished AS (
      SELECT kind, destination, count(*) FILTER (WHERE state = 'ready') AS ready, count(*) FILTER (WHERE state = 'held') AS held,
             count(*) FILTER (WHERE state = 'leased') AS leased
        FROM deliveries GROUP BY kind, destination
    )
    SELECT kind, destination,
           coalesce(committed, 0) AS committed,
           CASE WHEN coalesce(is_enabled, true) THEN coalesce(ready, 0) ELSE 0 END AS pending,
           coalesce(leased, 0) AS leased,
           coalesce(held, 0) + CASE WHEN coalesce(is_enabled, true) THEN 0 ELSE coalesce(ready, 0) END AS parked,
           coalesce(succeeded, 0) AS succeeded, coalesce(failed, 0) AS failed
      FROM totals FULL JOIN unfinished USING (kind, destination) LEFT JOIN delivery_destinations USING (kind, destination)
     ORDER BY kind, destination`)
}
