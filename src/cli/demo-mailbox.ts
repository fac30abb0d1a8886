import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Config } from '../platform/config.ts'
import { UsageError } from './command.ts'
import { until } from './demo-server.ts'

/** Remembers which mails are in the local mailbox; the function returned waits for a new one with these texts and describes it. */
export async function watchMailbox(config: Config): Promise<(...texts: string[]) => Promise<string>> {
  if (config.mail.smtpUrl !== undefined || config.mail.smtpServer !== undefined) {
    return async () => 'The mail goes out by SMTP, as the settings say.'
  }
  const folder = join(config.dataDir, 'mailbox')
  const before = new Set(await mailsIn(folder))
  return async (...texts) => {
    const look = async (): Promise<string | undefined> => {
      for (const name of await mailsIn(folder)) {
        if (before.has(name)) continue
        const mail = await readFile(join(folder, name), 'utf8')
        if (texts.every((text) => mail.includes(text))) return `the mail, in ${join(folder, name)}:\n${headOf(mail)}`
      }
      return undefined
    }
    return until('the mail is written', look, 100).catch((error: unknown) => {
      if (!(error instanceof UsageError)) throw error
      return `No mail is in ${folder}: the server keeps its mails elsewhere, there is nobody with an e-mail address, or no worker runs.`
    })
  }
}

async function mailsIn(folder: string): Promise<string[]> {
  // One folder a day.
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  return names.filter((name) => name.endsWith('.eml'))
}

function headOf(mail: string): string {
  const lines = mail.split(/\r?\n/)
  return lines.filter((line) => /^(From|To|Subject|Date|Message-ID):/i.test(line)).join('\n')
}
