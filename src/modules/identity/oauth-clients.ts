import { timingSafeEqual } from 'node:crypto'

import type { Queryable } from '../../platform/db/db.ts'
import { UnauthenticatedError } from '../../platform/errors.ts'
import { decodeBasic } from './credentials.ts'
import { findClientSecret } from './oauth-queries.ts'
import { digestOf } from './tokens.ts'

interface ShownClient {
  id: string
  secret: string
}

const LONGEST_CLIENT_ID = 255

/**
 * The id of the client that authenticates itself, by HTTP Basic or in the body (RFC 6749, section 2.3.1). Throws `invalid_client`; the
 * challenge is Basic when Basic was used.
 */
export async function requireClient(
  db: Queryable,
  authorization: string | undefined,
  body: { client_id?: string; client_secret?: string },
): Promise<string> {
  const basic = /^\s*basic(?:\s(.*))?$/i.exec(authorization ?? '')
  const shown = basic === null ? clientsOfBody(body) : clientsOfBasic(basic[1] ?? '')
  for (const client of shown) if (await isRightClient(db, client)) return client.id
  throw new UnauthenticatedError('Client authentication failed.', {
    code: 'invalid_client',
    headers: { 'www-authenticate': basic === null ? 'Bearer' : 'Basic realm="souk"' },
  })
}

function clientsOfBody({
  client_id: id,
  client_secret: secret,
}: {
  client_id?: string
  client_secret?: string
}): ShownClient[] {
  return id === undefined || secret === undefined ? [] : [{ id, secret }]
}

/** RFC 6749 wants both parts form-encoded first; many clients send them plain, which reads the same unless it holds `%` or `+`. */
function clientsOfBasic(value: string): ShownClient[] {
  const pair = decodeBasic(value)
  if (pair === undefined) return []
  const plain = { id: pair.user, secret: pair.password }
  const decoded = { id: formDecoded(plain.id), secret: formDecoded(plain.secret) }
  if (decoded.id === undefined || decoded.secret === undefined) return [plain]
  const isSame = decoded.id === plain.id && decoded.secret === plain.secret
  return isSame ? [plain] : [{ id: decoded.id, secret: decoded.secret }, plain]
}

function formDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // Not form-encoded.
    return undefined
  }
}

async function isRightClient(db: Queryable, { id, secret }: ShownClient): Promise<boolean> {
  // A decoded `%00` would be refused by the database.
  if (id.length > LONGEST_CLIENT_ID || id.includes('\0')) return false
  const secretHash = await findClientSecret(db, id)
  return secretHash !== undefined && timingSafeEqual(secretHash, digestOf(secret))
}
