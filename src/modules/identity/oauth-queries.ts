import type { Timestamp } from '../../platform/clock.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'
import type { Scope } from '../../platform/http/caller.ts'
import type { CredentialKind } from './tokens.ts'

export async function findClientSecret(db: Queryable, id: string): Promise<Buffer | undefined> {
  const row = await db.row<{ secretHash: Buffer }>(sql`
    SELECT secret_hash AS "secretHash" FROM oauth_clients WHERE id = ${id}`)
  return row?.secretHash
}

export async function hasClient(db: Queryable, id: string): Promise<boolean> {
  return (await db.row(sql`SELECT 1 FROM oauth_clients WHERE id = ${id}`)) !== undefined
}

/** Creates the client, or gives an existing one this secret; a client that has it already is left alone. */
export async function saveClient(tx: Tx, id: string, secretHash: Buffer): Promise<void> {
  await tx.run(sql`
    INSERT INTO oauth_clients AS c (id, secret_hash) VALUES (${id}, ${secretHash})
    ON CONFLICT (id) DO UPDATE SET secret_hash = excluded.secret_hash, updated_at = now()
    WHERE c.secret_hash <> excluded.secret_hash`)
}

/** Creates the client unless another process was faster. */
export async function insertClient(tx: Tx, id: string, secretHash: Buffer): Promise<void> {
  await tx.run(sql`
    INSERT INTO oauth_clients (id, secret_hash) VALUES (${id}, ${secretHash}) ON CONFLICT (id) DO NOTHING`)
}

export interface OauthCredential {
  kind: CredentialKind
  signInId: string
  userId: string
  username: string
  clientId: string
  scopes: Scope[]
  expiresAt: Timestamp
  isLive: boolean
}

/** An OAuth2 token, whatever its state. */
export function findOauthCredential(db: Queryable, digest: Buffer, now: Date): Promise<OauthCredential | undefined> {
  return db.row<OauthCredential>(sql`
    SELECT c.kind, c.sign_in_id AS "signInId", s.user_id AS "userId", u.username, s.client_id AS "clientId", c.scopes,
      c.expires_at AS "expiresAt", (c.spent_at IS NULL AND c.expires_at > ${now} AND s.revoked_at IS NULL
        AND u.deleted IS NULL AND u.is_active) AS "isLive"
    FROM credentials c JOIN sign_ins s ON s.id = c.sign_in_id JOIN users u ON u.id = s.user_id
    WHERE c.digest = ${digest} AND c.kind IN ('oauth-access', 'oauth-refresh')`)
}
