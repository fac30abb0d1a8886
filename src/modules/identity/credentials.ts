import type { Credentials } from '../../platform/http/caller.ts'

export const SESSION_COOKIE = 'sessionid'

/** What a request shows, before anything is looked up. */
export type Shown =
  | { kind: 'nothing' }
  | { kind: 'unreadable' }
  | { kind: 'basic'; username: string; password: string }
  | { kind: 'jwt'; token: string }
  | { kind: 'opaque'; token: string }
  | { kind: 'session'; token: string }

const AUTHORIZATION = /^\s*(basic|token|bearer)\s+(\S+)\s*$/i
/** Ours have 43 characters. */
const MAX_OPAQUE_LENGTH = 512

/**
 * Reads the credential of a request. An Authorization header that is present decides alone, an empty one too, and its value, not
 * the word before it, tells a JWT from an opaque token (identity contract, section 1.3).
 */
export function readCredential({ authorization, cookie }: Credentials['headers']): Shown {
  if (authorization !== undefined) return readAuthorization(authorization)
  const session = readCookie(cookie, SESSION_COOKIE)
  if (session === undefined || session === '') return { kind: 'nothing' }
  return opaque('session', session)
}

function readAuthorization(header: string): Shown {
  const [, word, value] = AUTHORIZATION.exec(header) ?? []
  if (word === undefined || value === undefined) return { kind: 'unreadable' }
  if (word.toLowerCase() === 'basic') return readBasic(value)
  return value.includes('.') ? { kind: 'jwt', token: value } : opaque('opaque', value)
}

function opaque(kind: 'opaque' | 'session', token: string): Shown {
  return token.length > MAX_OPAQUE_LENGTH ? { kind: 'unreadable' } : { kind, token }
}

function readBasic(value: string): Shown {
  const pair = decodeBasic(value)
  return pair === undefined ? { kind: 'unreadable' } : { kind: 'basic', username: pair.user, password: pair.password }
}

/** The pair of an HTTP Basic credential (RFC 7617), or undefined when it is not one. */
export function decodeBasic(value: string): { user: string; password: string } | undefined {
  const text = Buffer.from(value, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  // RFC 7617, section 2, forbids control characters; PostgreSQL would refuse NUL.
  if (colon === -1 || /\p{Cc}/u.test(text)) return undefined
  return { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** The first value of a cookie in a Cookie header (RFC 6265, section 5.4: the most specific path comes first). */
export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const part of header?.split(';') ?? []) {
    const equals = part.indexOf('=')
    if (part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim()
  }
  return undefined
}
