import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'

import { loadConfig } from '../platform/config.ts'
import { parseArguments, urlOf, UsageError, type Command } from './command.ts'
import { getStatus, sendFeed, type ImportOptions, type ImportStatus } from './import-client.ts'

const POLL_MS = 300
const BAR_WIDTH = 30

export const importCommand: Command = {
  name: 'import',
  summary: 'import a product feed through a running server',
  help: `Usage: souk import FILE [options]

Sends a product feed (XML, or XML compressed with gzip) to a running server, follows the import and prints what became of it.
The exit code is 0 when the feed was read to its end. Interrupting the command does not stop the import.

  --url URL              the server; default the HOST and PORT of the settings
  --user NAME:PASSWORD   sign in with name and password
  --token TOKEN          or with a token
  --token-file FILE      or with the token in a file, which no process list shows
  --update               change your own products that the feed names again
  --dry-run              check and count only, store nothing`,
  async run(args) {
    const { file, options } = await readArguments(args)
    const status = await importFile(file, options, progressBar(process.stdout))
    process.stdout.write(`${summary(status, options.url)}\n`)
    return status.state === 'succeeded' ? 0 : 1
  },
}

/** Where the bar is drawn. */
export interface ProgressBar {
  show(percentage: number, text: string): void
  /** Removes the bar, so that what is printed next begins a line. */
  clear(): void
}

/** Imports a file through the server's own API and waits for the end. */
export async function importFile(file: string, options: ImportOptions, bar: ProgressBar): Promise<ImportStatus> {
  try {
    let status = await sendFeed(file, options, (sent, total) => bar.show((100 * sent) / total, 'sending'))
    while (!['succeeded', 'failed', 'cancelled'].includes(status.state)) {
      bar.show(status.percentage, describe(status))
      await wait(POLL_MS)
      status = await getStatus(status.id, options)
    }
    return status
  } finally {
    bar.clear()
  }
}

function describe({ state, items_read: read, problematic }: ImportStatus): string {
  if (state === 'queued') return 'waiting for a worker'
  if (read === 0) return 'checking'
  return `${read} items read, ${problematic} problematic`
}

/** A bar that is drawn over itself on a terminal and not at all elsewhere. */
export function progressBar(out: { isTTY?: boolean; write(text: string): unknown }): ProgressBar {
  let shown = ''
  const draw = (line: string): void => {
    if (out.isTTY !== true || line === shown) return
    out.write(`\r${line.padEnd(shown.length)}`)
    shown = line
  }
  return {
    show: (percentage, text) => {
      const filled = Math.round((Math.min(100, percentage) / 100) * BAR_WIDTH)
      draw(
        `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${String(Math.floor(percentage)).padStart(3)}%  ${text}`,
      )
    },
    clear: () => {
      if (shown === '') return
      draw('')
      out.write('\r')
    },
  }
}

/** What became of an import, for a person. */
export function summary(status: ImportStatus, url: string): string {
  const place = status.error_line === null ? '' : ` (line ${status.error_line}, column ${status.error_column ?? 0})`
  const reason = status.error === null ? '' : `: ${status.error}${place}`
  const { items_read: read, created, updated, unchanged, existing, problematic } = status
  const counts = { read, created, updated, unchanged, existing, problematic }
  const lines = [
    `Import ${status.state}${reason}`,
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', '),
  ]
  if (problematic > 0) lines.push(`What was wrong: ${url}/api/imports/${status.id}/report.csv`)
  return lines.join('\n')
}

async function readArguments(args: string[]): Promise<{ file: string; options: ImportOptions }> {
  const { values, positionals } = parse(args)
  const [file, ...others] = positionals
  if (file === undefined || others.length > 0) throw new UsageError('Name one file: souk import FILE')
  return {
    file,
    options: {
      url: (values.url ?? urlOf(loadConfig())).replace(/\/+$/, ''),
      authorization: await readCredential(values),
      update: values.update ?? false,
      dryRun: values['dry-run'] ?? false,
    },
  }
}

function parse(args: string[]) {
  return parseArguments({
    args,
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      user: { type: 'string' },
      token: { type: 'string' },
      'token-file': { type: 'string' },
      update: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
    },
  })
}

async function readCredential(values: {
  user?: string | undefined
  token?: string | undefined
  'token-file'?: string | undefined
}): Promise<string> {
  if (values.user !== undefined) return `Basic ${Buffer.from(values.user).toString('base64')}`
  if (values.token !== undefined) return `Bearer ${values.token}`
  const path = values['token-file']
  if (path === undefined) throw new UsageError('Say who you are with --user, --token or --token-file.')
  const token = await readFile(path, 'utf8').catch((error: Error) => {
    throw new UsageError(`${path} cannot be read: ${error.message}`)
  })
  return `Bearer ${token.trim()}`
}
