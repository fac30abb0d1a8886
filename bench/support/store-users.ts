import { createHash, randomBytes } from 'node:crypto'

import type { Tx } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { newId } from '../../src/platform/ids.ts'

export interface SampleUser {
  id: string
  headers: { authorization: string }
}

/** Users with a token each that never ends, as signing up and in would leave them; hashing so many passwords would take a minute. */
export async function insertUsers(tx: Tx, prefix: string, count: number): Promise<SampleUser[]> {
  const users = Array.from({ length: count }, (_, n) => {
    const token = randomBytes(32).toString('base64url')
    const digest = createHash('sha256').update(token).digest('hex')
    return { id: newId(), signIn: newId(), name: `${prefix}-${n}`, token, digest }
  })
  const names = users.map((user) => user.name)
  const ids = users.map((user) => user.id)
  const signIns = users.map((user) => user.signIn)
  await tx.run(sql`
    INSERT INTO users (id, username, email, password_hash)
    SELECT id, name, name || '@example.com', 'none' FROM unnest(${ids}::uuid[], ${names}::text[]) AS u (id, name)`)
  await tx.run(sql`
    INSERT INTO login_names (name, user_id)
    SELECT unnest(ARRAY[name, name || '@example.com']), id FROM unnest(${ids}::uuid[], ${names}::text[]) AS u (id, name)`)
  await tx.run(sql`
    INSERT INTO sign_ins (id, user_id, kind)
    SELECT id, user_id, 'token' FROM unnest(${signIns}::uuid[], ${ids}::uuid[]) AS s (id, user_id)`)
  await tx.run(sql`
    INSERT INTO credentials (digest, kind, sign_in_id, scopes)
    SELECT decode(digest, 'hex'), 'token', id, '{read,write}'
    FROM unnest(${users.map((user) => user.digest)}::text[], ${signIns}::uuid[]) AS c (digest, id)`)
  return users.map(({ id, token }) => ({ id, headers: { authorization: `Token ${token}` } }))
}
