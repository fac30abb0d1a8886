import type { Subscriber } from '../../../changes/index.ts'
import { defineMailTemplate, queueMails } from '../../../delivery/index.ts'
import { listAdminRecipients } from '../../identity/index.ts'
import { idLines, renderFeedMail, uploadLines, type Line, type NamedIds, type UploadedBy } from '../upload-mails.ts'
import { findImport, type ImportRow, type ImportState } from './import-queries.ts'
import { importCancelled, importFailed, importSucceeded } from './topics.ts'

interface ImportSummary extends UploadedBy {
  state: ImportState
  /** Null unless the import failed. */
  reason: string | null
  created: number
  updated: number
  unchanged: number
  itemsRead: number
  existing: NamedIds
  problematic: NamedIds
}

const headings: Partial<Record<ImportState, string>> = {
  failed: 'Product Upload Failed',
  cancelled: 'Product Upload Cancelled',
}

/** One mail for a whole background import instead of one per product (contracts/README.md, decision 13). */
export const importSummaryMail = defineMailTemplate<ImportSummary>({
  name: 'catalog.import-summary',
  render: (summary) => {
    const reason: Line[] =
      summary.reason === null ? [] : [['An error occurred while the file was read', summary.reason]]
    const counts: Line[] = [
      ['Items read', String(summary.itemsRead)],
      ['Created', String(summary.created)],
      ['Updated', String(summary.updated)],
      ['Unchanged', String(summary.unchanged)],
      ['Existing', String(summary.existing.count)],
      ['Problematic', String(summary.problematic.count)],
    ]
    const lists = [
      ...idLines('Existing Product IDs', summary.existing),
      ...idLines('Problematic Product IDs', summary.problematic),
    ]
    const heading = headings[summary.state] ?? 'Product Upload Successful'
    return renderFeedMail(heading, [[...uploadLines(summary), ...reason], counts, lists])
  },
})

/** Mails the summary of an import to every admin, once: the key is made of the change and the address. A dry run mails nobody. */
export const importMailSubscriber: Subscriber = {
  name: 'catalog.import-mails',
  topics: [importSucceeded.name, importFailed.name, importCancelled.name],
  mode: 'batch',
  handle: async (tx, changes) => {
    const admins = await listAdminRecipients(tx)
    if (admins.length === 0) return
    for (const change of changes) {
      // Nothing of an import changes after its end, so this reads what the change is about, whenever it runs.
      const job = await findImport(tx, change.subject.id)
      if (job === undefined || job.dryRun) continue
      const mail = { template: importSummaryMail.name, values: summaryOf(job), group: 'catalog.import' }
      await queueMails(
        tx,
        admins.map(({ email }) => ({ ...mail, key: `${change.id}:${email}`, to: email })),
      )
    }
  },
}

function summaryOf(job: ImportRow): ImportSummary {
  const { username, email, fileName, state, created, updated, unchanged, itemsRead } = job
  return {
    username,
    email,
    fileName,
    state,
    created,
    updated,
    unchanged,
    itemsRead,
    reason: job.error === null ? null : reasonWithPlace(job.error, job),
    existing: { ids: job.existingIds, count: job.existing },
    problematic: { ids: job.problematicIds, count: job.problematic },
  }
}

function reasonWithPlace(reason: string, { errorLine, errorColumn }: ImportRow): string {
  return errorLine === null ? reason : `${reason} (line ${errorLine}, column ${errorColumn ?? 0})`
}
