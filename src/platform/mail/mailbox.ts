import { appendFile, link, mkdir, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { errorCode } from '../db/db.ts'
import { newId } from '../ids.ts'
import type { Message } from './message.ts'
import type { MailResult, MailTransport } from './transport.ts'

/** Days of local mail that are kept. */
const KEEP_DAYS = 30
const INDEX = 'index.jsonl'

/** A line of the index of one day. */
export interface MailboxEntry {
  /** Path below the mailbox folder. */
  file: string
  date: string
  to: string
  subject: string
  messageId: string
}

/**
 * Keeps mails as files instead of sending them: `<folder>/<day>/<time>-<id>.eml`, which any mail program opens, and an `index.jsonl` for each
 * day. Keeping the same mail again does nothing.
 */
export function createMailbox(folder: string): MailTransport {
  return {
    target: folder,
    send: async (id, message) => {
      try {
        return await keep(folder, id, message)
      } catch (error) {
        return { result: 'unavailable', error: `the mailbox cannot be written: ${errorCode(error) ?? 'unknown error'}` }
      }
    },
    check: async () => true,
    close: async () => undefined,
  }
}

async function keep(folder: string, id: string, message: Message): Promise<MailResult> {
  const day = message.date.slice(0, 10)
  const file = `${day}/${message.date.slice(11, 23).replaceAll(/[:.]/g, '')}-${id}.eml`
  // Mails hold personal data: readable by the owner only.
  await mkdir(join(folder, day), { recursive: true, mode: 0o700 })
  if (await exists(join(folder, file))) return { result: 'accepted' }
  const draft = join(folder, `${file}.${newId()}.tmp`)
  await writeFile(draft, message.raw, { encoding: 'latin1', mode: 0o600 })
  const entry: MailboxEntry = {
    file,
    date: message.date,
    to: message.envelope.to,
    subject: message.subject,
    messageId: message.messageId,
  }
  // The line before the file: after a crash in between the mail is kept again and only its line is there twice, never a mail without one.
  await appendFile(join(folder, day, INDEX), `${JSON.stringify(entry)}\n`, { mode: 0o600 })
  await link(draft, join(folder, file)).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error
  })
  await unlink(draft)
  return { result: 'accepted' }
}

/** The newest mails of the mailbox, at most `limit`. */
export async function listMailbox(folder: string, limit: number): Promise<MailboxEntry[]> {
  const found = new Map<string, MailboxEntry>()
  for (const day of (await daysOf(folder)).toReversed()) {
    const lines = (await readFile(join(folder, day, INDEX), 'utf8').catch(emptyIfMissing)).split('\n').filter(Boolean)
    for (const line of lines.toReversed()) {
      const entry = parseEntry(line)
      if (entry !== undefined && !found.has(entry.file)) found.set(entry.file, entry)
      if (found.size === limit) return [...found.values()]
    }
  }
  return [...found.values()]
}

/** Undefined for a line that a full disk has cut off. */
function parseEntry(line: string): MailboxEntry | undefined {
  try {
    return JSON.parse(line) as MailboxEntry
  } catch {
    return undefined
  }
}

/** Removes the days that are over. */
export async function pruneMailbox(folder: string, now: Date): Promise<void> {
  const oldest = new Date(now.getTime() - KEEP_DAYS * 86_400_000).toISOString().slice(0, 10)
  for (const day of await daysOf(folder)) {
    if (day < oldest) await rm(join(folder, day), { recursive: true, force: true })
  }
}

async function daysOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => /^\d{4}-\d\d-\d\d$/.test(name)).toSorted()
}

function emptyIfMissing(error: unknown): string {
  if (errorCode(error) === 'ENOENT') return ''
  throw error
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
