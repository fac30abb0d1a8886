import type { ReportRow } from './report-queries.ts'

const COLUMNS = ['line', 'item', 'id', 'element', 'rule', 'value'] as const
/** A cell that begins with one of these is a formula to a spreadsheet; an apostrophe in front makes it text again. */
const FORMULA_START = /^[=+\-@\t\r]/
const CELL_BREAKERS = /[",\r\n]/

/** The report as CSV (RFC 4180), a page of rows at a time. */
export async function* writeReportCsv(pages: AsyncIterable<readonly ReportRow[]>): AsyncGenerator<string> {
  yield `${COLUMNS.join(',')}\r\n`
  for await (const rows of pages) {
    yield rows.map((row) => `${COLUMNS.map((column) => cell(row[column])).join(',')}\r\n`).join('')
  }
}

function cell(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const safe = FORMULA_START.test(value) ? `'${value}` : value
  return CELL_BREAKERS.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
