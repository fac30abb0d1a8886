import type { Db } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'
import type { Logger } from '../platform/log.ts'
import type { MailTransport } from '../platform/mail/index.ts'
import { MAIL } from './mail.ts'
import { wakeWorkers, type Target } from './wake.ts'

const PROBE_TIMEOUT_MS = 5_000
/** Between probes of a server that is away: half a second, doubling. */
const PROBE = { firstMs: 500, mostMs: 5_000 }
/** For a server that answers probes and then takes no mail: every round costs waiting mails a try, so the rounds get rare. */
const FLAP = { firstMs: 10_000, mostMs: 10 * 60_000 }

/** Whether the mail server is away, as this process sees it: one log line when it goes and one when it is back, not one per mail. */
export interface MailOutage {
  /** Takes up an outage that was not over when the last process ended. */
  start(): Promise<void>
  begin(error: string): void
  /** The server has answered a mail; `wasProven` when it took it. */
  end(options: { wasProven: boolean }): void
  stop(): void
}

/** While the server is away, looks for it without using up a try of any mail, and lets waiting mails go when it is back. */
export function createMailOutage(options: { db: Db; log: Logger; transport: MailTransport }): MailOutage {
  const { db, log, transport } = options
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let isAway = false
  let probes = 0
  /** Outages that ended with a probe and not yet with a mail. */
  let flaps = 0

  async function probe(): Promise<void> {
    probes++
    const isBack = await transport.check(AbortSignal.any([stopping.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]))
    if (stopping.signal.aborted || !isAway) return
    if (!isBack) return plan()
    flaps++
    finish()
  }

  function plan(): void {
    const wait =
      flaps === 0
        ? Math.min(PROBE.firstMs * 2 ** probes, PROBE.mostMs)
        : Math.min(FLAP.firstMs * 2 ** (flaps - 1), FLAP.mostMs)
    timer = setTimeout(() => void probe(), wait)
  }

  function finish(): void {
    isAway = false
    clearTimeout(timer)
    log.info({ server: transport.target }, 'mail server is back, waiting mails are sent')
    hurryMails(db).catch((error: unknown) => log.warn({ err: error }, 'waiting mails keep their times'))
  }

  function begin(error: string): void {
    if (isAway || stopping.signal.aborted) return
    isAway = true
    probes = 0
    log.warn({ server: transport.target, error }, 'mail server is not available, mails wait')
    plan()
  }

  return {
    start: async () => {
      const paused = await db.row(
        sql`SELECT FROM delivery_destinations WHERE kind = ${MAIL} AND paused_until IS NOT NULL LIMIT 1`,
      )
      if (paused !== undefined) begin('it was away before this start')
    },
    begin,
    end: ({ wasProven }) => {
      if (wasProven) flaps = 0
      if (isAway) finish()
    },
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
