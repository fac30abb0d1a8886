import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'

import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

export interface ReceivedMail {
  to: string
  messageId: string
  subject: string
  raw: string
}

/** What the server does with a mail: an SMTP status, `drop` to cut the line after DATA, or `hang` to say nothing. */
export type Verdict = number | 'drop' | 'hang'

export interface FakeSmtp {
  port: number
  url: string
  /** Every message that came in whole, accepted or not. */
  received: ReceivedMail[]
  accepted: ReceivedMail[]
  /** Connections since the start, and the most at one time. */
  connections: { total: number; most: number }
  close(): Promise<void>
}

interface FakeSmtpOptions {
  port?: number
  /** Decides on DATA; default 250. */
  onMail?: (mail: ReceivedMail, earlier: number) => Verdict
  /** Decides on RCPT TO; default 250. */
  onRecipient?: (address: string) => number
  server?: SMTPServerOptions
}

/** A mail server outside that misbehaves as told. */
export async function startSmtp(options: FakeSmtpOptions = {}): Promise<FakeSmtp> {
  const received: ReceivedMail[] = []
  const accepted: ReceivedMail[] = []
  const connections = { total: 0, most: 0 }
  const sockets = new Set<Socket>()
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    ...options.server,
    onRcptTo: (address, _session, callback) => {
      const status = options.onRecipient?.(address.address) ?? 250
      callback(status < 400 ? null : refusal(status))
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const to = session.envelope.rcptTo.map((address) => address.address).join(',')
        const mail = parse(to, Buffer.concat(chunks).toString())
        const earlier = received.filter((other) => other.messageId === mail.messageId).length
        received.push(mail)
        const verdict = options.onMail?.(mail, earlier) ?? 250
        if (verdict === 'hang') return
        if (verdict === 'drop')
          return void [...sockets].find((socket) => socket.remotePort === session.remotePort)?.destroy()
        if (verdict < 400) accepted.push(mail)
        callback(verdict < 400 ? null : refusal(verdict))
      })
    },
  })
  server.on('error', () => undefined)
  server.server.on('connection', (socket: Socket) => {
    connections.total++
    sockets.add(socket)
    connections.most = Math.max(connections.most, sockets.size)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo
  return {
    port,
    url: `smtp://127.0.0.1:${port}`,
    received,
    accepted,
    connections,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function refusal(status: number): Error {
  return Object.assign(new Error('not this one'), { responseCode: status })
}

function parse(to: string, raw: string): ReceivedMail {
  return { to, raw, messageId: header(raw, 'Message-ID'), subject: header(raw, 'Subject') }
}

function header(raw: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, 'im').exec(raw)?.[1]?.trim() ?? ''
}
