import type { ImportRow } from './import-queries.ts'

/** Checking a document takes about a tenth of the time of an import; the bar of progress moves accordingly. */
const CHECK_SHARE = 10

/** How far an import has come, 0 to 100. 100 means that it has succeeded. */
export function percentageOf(job: Pick<ImportRow, 'state' | 'bytesTotal' | 'bytesChecked' | 'bytesRead'>): number {
  if (job.state === 'succeeded') return 100
  // A feed that was checked while it arrived has its share from the start, but nobody works on it yet.
  if (job.state === 'queued' || job.bytesTotal === 0) return 0
  const share = (bytes: number): number => Math.min(1, bytes / job.bytesTotal)
  const percentage = CHECK_SHARE * share(job.bytesChecked) + (100 - CHECK_SHARE) * share(job.bytesRead)
  return Math.min(99, Math.floor(percentage))
}
