import type { Message } from './message.ts'
import { openSmtpConnection, SmtpError, type SentInfo, type SmtpConnection } from './smtp-connection.ts'
import type { SmtpSettings } from './smtp-settings.ts'
import type { MailResult, MailTransport } from './transport.ts'

/** Connections of one process: mails go out at a rate that a small mail server bears. */
const MAX_CONNECTIONS = 5
/** Then the connection is renewed, as servers expect. */
const MESSAGES_PER_CONNECTION = 100
/** An unused connection is closed before the server does it. */
const IDLE_MS = 5_000
const SERVICE_NOT_AVAILABLE = 421

/** Hands mails to a mail server over a few connections that are kept open while there is something to send. */
export function createSmtpTransport(settings: SmtpSettings): MailTransport {
  const pool = createPool(settings)
  return {
    target: `${settings.host}:${settings.port}`,
    send: async (_id, message, signal) => {
      try {
        return await sendOverPool(pool, message, signal)
      } catch (error) {
        return failure(error)
      }
    },
    check: async (signal) => {
      try {
        const connection = await openSmtpConnection(settings, signal)
        await connection.quit()
        return true
      } catch {
        // Whatever it is, it will be reported for the next mail.
        return false
      }
    },
    close: async () => pool.close(),
  }
}

async function sendOverPool(pool: Pool, message: Message, signal: AbortSignal): Promise<MailResult> {
  for (;;) {
    const began = performance.now()
    const connection = await pool.take(signal)
    const waitMs = performance.now() - began
    const isReused = connection.sent > 0
    try {
      return accepted(await connection.send(message, signal), {
        waitMs,
        connectMs: isReused ? 0 : connection.connectMs,
      })
    } catch (error) {
      connection.close()
      // A kept connection may have been closed by the server in the meantime; the mail was not touched, so this was no attempt.
      if (!(isReused && isStale(error)) || signal.aborted) throw error
    } finally {
      pool.putBack(connection)
    }
  }
}

function isStale(error: unknown): boolean {
  return error instanceof SmtpError && error.details.status === undefined && !error.details.isDataStarted
}

function accepted(info: SentInfo, timings: Record<string, number>): MailResult {
  return {
    result: 'accepted',
    status: Number.parseInt(info.response, 10) || 250,
    answer: info.response,
    timings: { ...timings, envelopeMs: info.envelopeMs, messageMs: info.messageMs },
  }
}

/** A 5xx answer to the mail is final, a 4xx one is not (RFC 5321, section 4.2.1); anything else is trouble of the server. */
function failure(error: unknown): MailResult {
  if (!(error instanceof SmtpError)) throw error
  const { status, response, isAboutMail, isDataStarted } = error.details
  const answer = {
    ...(status === undefined ? {} : { status }),
    ...(response === undefined ? {} : { answer: response }),
  }
  if (isAboutMail && status !== undefined && status !== SERVICE_NOT_AVAILABLE) {
    return { result: status >= 500 ? 'refused' : 'deferred', error: `the mail server answered ${status}`, ...answer }
  }
  if (!isDataStarted) return { result: 'unavailable', error: error.message, ...answer }
  return {
    result: 'deferred',
    error: 'the connection was lost after the mail was sent, it may have arrived',
    ...answer,
  }
}

type Pool = ReturnType<typeof createPool>

interface Idle {
  connection: SmtpConnection
  timer: NodeJS.Timeout
}

function createPool(settings: SmtpSettings) {
  const places = createPlaces(MAX_CONNECTIONS)
  const idle: Idle[] = []
  let isClosed = false

  function dismiss(kept: Idle): void {
    idle.splice(idle.indexOf(kept), 1)
    clearTimeout(kept.timer)
    void kept.connection.quit()
  }

  return {
    take: async (signal: AbortSignal): Promise<SmtpConnection> => {
      await places.take(signal)
      try {
        for (let kept = idle.pop(); kept !== undefined; kept = idle.pop()) {
          clearTimeout(kept.timer)
          if (kept.connection.isUsable) return kept.connection
        }
        return await openSmtpConnection(settings, signal)
      } catch (error) {
        places.free()
        throw error
      }
    },
    putBack: (connection: SmtpConnection): void => {
      // The place is free when the connection is really gone: the limit is what the server sees.
      if (!connection.isUsable || isClosed || connection.sent >= MESSAGES_PER_CONNECTION) {
        void connection.quit().then(places.free)
        return
      }
      const kept = { connection, timer: setTimeout(() => dismiss(kept), IDLE_MS) }
      idle.push(kept)
      places.free()
    },
    close: (): void => {
      isClosed = true
      while (idle.length > 0) dismiss(idle[0]!)
    },
  }
}

/** So many places; who waits for one gets it in the order of asking. */
function createPlaces(count: number) {
  const waiting = new Set<() => void>()
  let left = count

  return {
    take: async (signal: AbortSignal): Promise<void> => {
      if (left > 0) {
        left--
        return
      }
      await new Promise<void>((resolve, reject) => {
        const onAbort = () => {
          waiting.delete(enter)
          reject(new SmtpError('no connection was free in time', { isAboutMail: false, isDataStarted: false }))
        }
        const enter = () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        }
        if (signal.aborted) return onAbort()
        signal.addEventListener('abort', onAbort)
        waiting.add(enter)
      })
    },
    free: () => {
      const [next] = waiting
      if (next === undefined) {
        left++
        return
      }
      waiting.delete(next)
      next()
    },
  }
}
