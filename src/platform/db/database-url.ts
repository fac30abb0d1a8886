import pg from 'pg'

import { connectionConfig, errorCode } from './db.ts'

/** Why the database of DATABASE_URL cannot be used, as a sentence for the person who started the server. Holds no password. */
export class DatabaseUnreachableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DatabaseUnreachableError'
  }
}

/** Connects once and returns, or throws a DatabaseUnreachableError that says what is wrong. */
export async function checkReachable(url: string): Promise<void> {
  try {
    const client = new pg.Client(connectionConfig(url, 'souk start'))
    // A connection that breaks later than its first answer is no concern of this check, and must not end the process.
    client.on('error', () => undefined)
    await client.connect()
    await client.end()
  } catch (error) {
    throw new DatabaseUnreachableError(explainConnectionError(error, url), { cause: error })
  }
}

/** A sentence for a person about a failed connection; never shows the password of the address. */
export function explainConnectionError(error: unknown, url: string): string {
  const { where, user, database } = describeUrl(url)
  const code = errorCode(error) ?? errorCode(firstOf(error))
  const explained = code === undefined ? undefined : explainCode(code, where, user, database)
  return explained ?? explainMessage(messageOf(error), where, url)
}

function explainCode(code: string, where: string, user: string, database: string): string | undefined {
  switch (code) {
    case 'ECONNREFUSED':
      return `No PostgreSQL answers at ${where}: the connection was refused. Is the server running, and is the port in DATABASE_URL right?`
    case 'ENOENT':
      return `No PostgreSQL answers at ${where}: there is no such socket. Is the server running?`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The host of DATABASE_URL is unknown: ${where}. Check its spelling and the name service.`
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `The database at ${where} cannot be reached over the network. Check the address and the firewalls between.`
    case 'ECONNRESET':
      return `Something at ${where} took the connection and closed it. Is it really a PostgreSQL server?`
    case '28P01':
      return `PostgreSQL at ${where} refused the password of the user "${user}" in DATABASE_URL.`
    case '28000':
      return `PostgreSQL at ${where} does not let the user "${user}" in: unknown there, or not allowed from this address (pg_hba.conf).`
    case '3D000':
      return `PostgreSQL at ${where} has no database "${database}". Create it (CREATE DATABASE), or correct DATABASE_URL.`
    case '42501':
      return `PostgreSQL at ${where} does not allow the user "${user}" to connect to the database "${database}".`
    case '53300':
      return `PostgreSQL at ${where} has no free connection. Raise its max_connections or lower DATABASE_POOL_SIZE.`
    case '57P03':
      return `PostgreSQL at ${where} is starting or stopping. Try again in a moment.`
    default:
      return undefined
  }
}

function explainMessage(message: string, where: string, url: string): string {
  if (/timeout/i.test(message))
    return `The database at ${where} did not answer in time. Check the address and the firewalls between.`
  if (/client password must be a string|no password/i.test(message)) {
    return `PostgreSQL at ${where} asks for a password, and DATABASE_URL holds none.`
  }
  if (/does not support SSL/i.test(message))
    return `PostgreSQL at ${where} does not speak TLS. Remove sslmode from DATABASE_URL.`
  if (/certificate/i.test(message))
    return `The certificate of PostgreSQL at ${where} is not trusted: ${withoutPassword(message, url)}.`
  if (/Connection terminated|Received unexpected/i.test(message)) {
    return `Something at ${where} took the connection and closed it. Is it really a PostgreSQL server?`
  }
  return `The database at ${where} cannot be used: ${withoutPassword(message, url)}`
}

function describeUrl(text: string): { where: string; user: string; database: string } {
  if (!URL.canParse(text)) return { where: 'the address in DATABASE_URL', user: '', database: '' }
  const url = new URL(text)
  const host = url.searchParams.get('host') ?? (url.hostname || 'localhost')
  const where = host.startsWith('/') ? host : `${host}:${url.searchParams.get('port') ?? (url.port || '5432')}`
  const user = decoded(url.username)
  return { where, user, database: decoded(url.pathname.slice(1)) || user }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function withoutPassword(message: string, text: string): string {
  const password = URL.canParse(text) ? new URL(text).password : ''
  if (password === '') return message
  return message.replaceAll(password, '[hidden]').replaceAll(decoded(password), '[hidden]')
}

/** Node gathers the failures of all addresses of a name. */
function firstOf(error: unknown): unknown {
  return error instanceof AggregateError ? (error.errors as unknown[])[0] : undefined
}

function messageOf(error: unknown): string {
  const told = firstOf(error) ?? error
  return told instanceof Error ? told.message : String(told)
}
