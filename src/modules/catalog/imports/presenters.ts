import type { ImportRow } from './import-queries.ts'
import { percentageOf } from './progress.ts'

export function presentImport(job: ImportRow) {
  return {
    id: job.id,
    owner_user_id: job.ownerId,
    file_name: job.fileName,
    mode: job.mode,
    dry_run: job.dryRun,
    state: job.state,
    percentage: percentageOf(job),
    bytes_total: job.bytesTotal,
    bytes_checked: job.bytesChecked,
    bytes_read: job.bytesRead,
    items_read: job.itemsRead,
    created: job.created,
    updated: job.updated,
    unchanged: job.unchanged,
    existing: job.existing,
    problematic: job.problematic,
    problems: job.problems,
    error: job.error,
    error_line: job.errorLine,
    error_column: job.errorColumn,
    requested: job.requestedAt,
    started: job.startedAt,
    finished: job.finishedAt,
  }
}
