import { Readable } from 'node:stream'

import type { NodemailerError } from 'nodemailer/lib/errors'
import SMTPConnection from 'nodemailer/lib/smtp-connection'

import type { Message } from './message.ts'
import type { SmtpSettings } from './smtp-settings.ts'

/** For DNS, connecting, TLS and the greeting together. */
const CONNECT_TIMEOUT_MS = 20_000
/** RFC 5321, section 4.5.3.2.6, gives a server ten minutes to take a message in. */
const SILENCE_TIMEOUT_MS = 600_000

const QUIT_TIMEOUT_MS = 1_000

export interface SmtpConnection {
  /** Messages sent over it so far. */
  readonly sent: number
  readonly isUsable: boolean
  readonly connectMs: number
  send(message: Message, signal: AbortSignal): Promise<SentInfo>
  close(): void
  /** Says goodbye (QUIT) unless the connection is broken, and resolves when it is closed. */
  quit(): Promise<void>
}

export interface SentInfo {
  response: string
  envelopeMs: number
  messageMs: number
}

/** What went wrong in talking to the server. */
export class SmtpError extends Error {
  override readonly name = 'SmtpError'
  constructor(
    message: string,
    readonly details: {
      status?: number | undefined
      response?: string | undefined
      /** It was an answer to this mail, not to connecting or signing in. */
      isAboutMail: boolean
      /** The message was on its way: it may have been accepted. */
      isDataStarted: boolean
    },
  ) {
    super(message)
  }
}

/** Connects, upgrades to TLS and signs in as the settings say. Throws SmtpError. */
export async function openSmtpConnection(settings: SmtpSettings, signal: AbortSignal): Promise<SmtpConnection> {
  const began = performance.now()
  const connection = new SMTPConnection({
    host: settings.host,
    port: settings.port,
    secure: settings.isImplicitTls,
    requireTLS: settings.requiresTls,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    dnsTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    socketCloseTimeout: 1_000,
    allowInternalNetworkInterfaces: true,
    tls: { rejectUnauthorized: !settings.isLoopback },
  })
  let isUsable = true
  let sent = 0
  // An idle connection that fails is only noticed when it is needed.
  connection.on('error', () => (isUsable = false))
  connection.on('end', () => (isUsable = false))
  const close = () => {
    isUsable = false
    connection.close()
  }
  try {
    await exchange<unknown>(connection, signal, (done) => connection.connect((error) => done(error ?? null)))
    const { auth } = settings
    if (auth !== undefined && connection.allowsAuth) {
      await exchange<unknown>(connection, signal, (done) => connection.login({ ...auth }, done))
    }
  } catch (error) {
    close()
    throw smtpError(error, false)
  }
  return {
    get sent() {
      return sent
    },
    get isUsable() {
      return isUsable
    },
    connectMs: performance.now() - began,
    send: async (message, signal) => {
      sent++
      return sendMessage(connection, message, signal)
    },
    close,
    quit: async () => {
      isUsable = false
      const { _socket: socket } = connection
      if (!connection.destroyed) connection.quit()
      // For a server that does not answer.
      setTimeout(close, QUIT_TIMEOUT_MS).unref()
      if (socket && !socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
    },
  }
}

async function sendMessage(connection: SMTPConnection, message: Message, signal: AbortSignal): Promise<SentInfo> {
  let isDataStarted = false
  // Read only after the server has asked for the message (354).
  const body = Readable.from(
    (function* () {
      isDataStarted = true
      yield Buffer.from(message.raw, 'latin1')
    })(),
  )
  try {
    const info = await exchange<{ response: string; envelopeTime: number; messageTime: number }>(
      connection,
      signal,
      (done) => connection.send({ from: message.envelope.from, to: [message.envelope.to] }, body, done),
    )
    return { response: info.response, envelopeMs: info.envelopeTime, messageMs: info.messageTime }
  } catch (error) {
    throw smtpError(error, isDataStarted)
  } finally {
    body.destroy()
  }
}

/** One step of the dialogue; ends with its answer, with the connection, or with the signal, which closes the connection. */
function exchange<T>(
  connection: SMTPConnection,
  signal: AbortSignal,
  step: (done: (error: Error | null, value?: T) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const finish = (error: Error | null, value?: T) => {
      connection.off('error', onError)
      connection.off('end', onEnd)
      signal.removeEventListener('abort', onAbort)
      if (error === null) resolve(value as T)
      else reject(error)
    }
    const onError = (error: Error) => finish(error)
    const onEnd = () => finish(new Error('the server closed the connection'))
    const onAbort = () => {
      connection.close()
      finish(new Error('the time for this attempt was over'))
    }
    if (signal.aborted) return onAbort()
    connection.once('error', onError)
    connection.once('end', onEnd)
    signal.addEventListener('abort', onAbort)
    step(finish)
  })
}

function smtpError(error: unknown, isDataStarted: boolean): SmtpError {
  const { message, code, responseCode, response } = error as NodemailerError
  const isAboutMail = responseCode !== undefined && (code === 'EENVELOPE' || code === 'EMESSAGE')
  return new SmtpError(message, { status: responseCode, response, isAboutMail, isDataStarted })
}
