import type { Db } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'
import type { Logger } from '../platform/log.ts'
import type { MailTransport } from '../platform/mail/index.ts'
import { MAIL } from './mail.ts'
import { wakeWorkers, type Target } from './wake.ts'

const PROBE_MS = 5_000

/** Whether the mail server is away, as this process sees it: one log line when it goes and one when it is back, not one per mail. */
export interface MailOutage {
  begin(error: string): void
  end(): void
  stop(): void
}

/** While the server is away, looks for it every few seconds without using up a try of any mail, and lets waiting mails go when it is back. */
export function createMailOutage(options: {
  db: Db
  log: Logger
  transport: MailTransport
  probeMs?: number
}): MailOutage {
  const { db, log, transport, probeMs = PROBE_MS } = options
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let isAway = false

  async function probe(): Promise<void> {
    const isBack = await transport.check(AbortSignal.any([stopping.signal, AbortSignal.timeout(probeMs)]))
    if (stopping.signal.aborted || !isAway) return
    if (isBack) return end()
    plan()
  }

  function plan(): void {
    timer = setTimeout(() => void probe(), probeMs)
  }

  function end(): void {
    if (!isAway) return
    isAway = false
    clearTimeout(timer)
    log.info({ server: transport.target }, 'mail server is back, waiting mails are sent')
    hurryMails(db).catch((error: unknown) => log.warn({ err: error }, 'waiting mails keep their times'))
  }

  return {
    begin: (error) => {
      if (isAway || stopping.signal.aborted) return
      isAway = true
      log.warn({ server: transport.target, error }, 'mail server is not available, mails wait')
      plan()
    },
    end,
    stop: () => {
      clearTimeout(timer)
      stopping.abort()
    },
  }
}

/** Ends pauses and waits that were meant for a server that was away. */
async function hurryMails(db: Db): Promise<void> {
  const targets = await db.transaction(async (tx) => {
    const paused = await tx.rows<Target>(sql`
      UPDATE delivery_destinations SET paused_until = NULL WHERE kind = ${MAIL} AND paused_until IS NOT NULL
      RETURNING kind, destination`)
    await tx.run(sql`
      UPDATE deliveries SET due_at = now()
       WHERE state = 'ready' AND kind = ${MAIL} AND due_at > now() AND destination = ANY(${paused.map((target) => target.destination)})`)
    return paused
  })
  wakeWorkers(targets)
}
