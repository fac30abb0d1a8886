import { isIP } from 'node:net'

/** As in the configuration: a URL, or the four settings; undefined when there is no mail server. */
export interface SmtpConfig {
  smtpUrl: string | undefined
  smtpServer: string | undefined
  smtpPort: number
  smtpUsername: string | undefined
  smtpPassword: string | undefined
}

export interface SmtpSettings {
  host: string
  port: number
  /** TLS from the first byte (port 465, RFC 8314, section 3.3). */
  isImplicitTls: boolean
  /** Without STARTTLS nothing is sent. Elsewhere it is used when the server offers it. */
  requiresTls: boolean
  /** The certificate of a server on this machine is not checked: nothing leaves the machine, and such servers sign their own. */
  isLoopback: boolean
  auth: { user: string; pass: string } | undefined
}

const SUBMISSION = 587
const SUBMISSIONS = 465

export function smtpSettings(config: SmtpConfig): SmtpSettings | undefined {
  if (config.smtpUrl !== undefined) return fromUrl(new URL(config.smtpUrl))
  if (config.smtpServer === undefined) return undefined
  return settings(
    config.smtpServer,
    config.smtpPort,
    config.smtpPort === SUBMISSIONS,
    config.smtpUsername,
    config.smtpPassword,
  )
}

function fromUrl(url: URL): SmtpSettings {
  const isSecure = url.protocol === 'smtps:'
  const port = url.port === '' ? (isSecure ? SUBMISSIONS : SUBMISSION) : Number(url.port)
  const user = url.username === '' ? undefined : decodeURIComponent(url.username)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return settings(host, port, isSecure || port === SUBMISSIONS, user, decodeURIComponent(url.password))
}

function settings(
  host: string,
  port: number,
  isImplicitTls: boolean,
  user: string | undefined,
  pass: string | undefined,
): SmtpSettings {
  const isLoopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
  return {
    host,
    port,
    isImplicitTls,
    requiresTls: !isImplicitTls && port === SUBMISSION && !isLoopback,
    isLoopback,
    auth: user === undefined ? undefined : { user, pass: pass ?? '' },
  }
}
