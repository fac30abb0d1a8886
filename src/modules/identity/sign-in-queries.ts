import { sql } from '../../platform/db/sql.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'
import type { Scope } from '../../platform/http/caller.ts'
import type { Timestamp } from '../../platform/clock.ts'
import type { CredentialKind, NewCredential } from './tokens.ts'
import { userColumns, type User } from './users-queries.ts'

export type SignInKind = 'token' | 'jwt' | 'session' | 'oauth'

export interface NewSignIn {
  id: string
  userId: string
  kind: SignInKind
  clientId: string | null
  expiresAt: Date | null
}

/** A credential that is valid now, with whom it stands for. */
export interface LiveCredential extends User {
  kind: CredentialKind
  signInId: string
  scopes: Scope[]
  expiresAt: Timestamp | null
}

const isLive = sql`s.revoked_at IS NULL AND u.deleted IS NULL AND u.is_active`

/** One indexed look-up: the credential, its sign-in and its user, if all three are good. */
export function findLiveCredential(
  db: Queryable,
  digest: Buffer,
  kinds: readonly CredentialKind[],
  now: Date,
): Promise<LiveCredential | undefined> {
  return db.row<LiveCredential>(sql`
    SELECT ${userColumns}, c.kind, c.sign_in_id AS "signInId", c.scopes, c.expires_at AS "expiresAt"
    FROM credentials c JOIN sign_ins s ON s.id = c.sign_in_id JOIN users u ON u.id = s.user_id
    WHERE c.digest = ${digest} AND c.kind = ANY(${kinds}) AND c.spent_at IS NULL
      AND (c.expires_at IS NULL OR c.expires_at > ${now}) AND ${isLive}`)
}

/** The user of a sign-in that has not been revoked. */
export function findLiveSignIn(db: Queryable, signInId: string, userId: string): Promise<User | undefined> {
  return db.row<User>(sql`
    SELECT ${userColumns} FROM sign_ins s JOIN users u ON u.id = s.user_id
    WHERE s.id = ${signInId} AND s.user_id = ${userId} AND ${isLive}`)
}

/** A sign-in and its credentials, in one statement. */
export async function insertSignIn(tx: Tx, signIn: NewSignIn, credentials: readonly NewCredential[]): Promise<void> {
  await tx.run(sql`
    INSERT INTO sign_ins (id, user_id, kind, client_id, expires_at)
    VALUES (${signIn.id}, ${signIn.userId}, ${signIn.kind}, ${signIn.clientId}, ${signIn.expiresAt})`)
  await insertCredentials(tx, signIn.id, credentials)
}

export async function insertCredentials(
  tx: Tx,
  signInId: string,
  credentials: readonly NewCredential[],
): Promise<void> {
  for (const { digest, kind, scopes, expiresAt } of credentials) {
    await tx.run(sql`
      INSERT INTO credentials (digest, kind, sign_in_id, scopes, expires_at)
      VALUES (${digest}, ${kind}, ${signInId}, ${scopes}, ${expiresAt})`)
  }
}

export interface RefreshCredential extends User {
  signInId: string
  signInKind: SignInKind
  clientId: string | null
  scopes: Scope[]
  isSpent: boolean
  /** Not expired, sign-in not revoked, user neither deleted nor inactive. */
  isLive: boolean
}

/** A refresh token, locked: of two that use it at once, the second sees it spent. */
export function lockRefreshCredential(
  tx: Tx,
  digest: Buffer,
  kind: 'jwt-refresh' | 'oauth-refresh',
  now: Date,
): Promise<RefreshCredential | undefined> {
  return tx.row<RefreshCredential>(sql`
    SELECT ${userColumns}, s.id AS "signInId", s.kind AS "signInKind", s.client_id AS "clientId", c.scopes,
      c.spent_at IS NOT NULL AS "isSpent", (c.expires_at > ${now} AND ${isLive}) AS "isLive"
    FROM credentials c JOIN sign_ins s ON s.id = c.sign_in_id JOIN users u ON u.id = s.user_id
    WHERE c.digest = ${digest} AND c.kind = ${kind} FOR NO KEY UPDATE OF c`)
}

/** Spends every unspent credential of these kinds that the sign-in has. */
export async function spendCredentials(tx: Tx, signInId: string, kinds: readonly CredentialKind[]): Promise<void> {
  await tx.run(sql`
    UPDATE credentials SET spent_at = now()
    WHERE sign_in_id = ${signInId} AND kind = ANY(${kinds}) AND spent_at IS NULL`)
}

export async function extendSignIn(tx: Tx, signInId: string, expiresAt: Date | null): Promise<void> {
  await tx.run(sql`
    UPDATE sign_ins SET expires_at = CASE WHEN ${expiresAt}::timestamptz IS NULL THEN NULL
      ELSE greatest(expires_at, ${expiresAt}::timestamptz) END
    WHERE id = ${signInId}`)
}

/** The user of the sign-in that was revoked just now; undefined when it was revoked before. */
export async function markSignInRevoked(tx: Tx, signInId: string): Promise<string | undefined> {
  const row = await tx.row<{ userId: string }>(sql`
    UPDATE sign_ins SET revoked_at = now() WHERE id = ${signInId} AND revoked_at IS NULL RETURNING user_id AS "userId"`)
  return row?.userId
}

export async function markSignInsRevoked(tx: Tx, userId: string, keptId: string | null): Promise<void> {
  await tx.run(sql`
    UPDATE sign_ins SET revoked_at = now()
    WHERE user_id = ${userId} AND revoked_at IS NULL AND id IS DISTINCT FROM ${keptId}`)
}

export async function isCredentialOf(db: Queryable, digest: Buffer, signInId: string): Promise<boolean> {
  const row = await db.row(sql`SELECT 1 FROM credentials WHERE digest = ${digest} AND sign_in_id = ${signInId}`)
  return row !== undefined
}

/** Deletes up to `limit` credentials past their end; rows that somebody holds are left for the next time. */
export function deleteExpiredCredentials(tx: Tx, now: Date, limit: number): Promise<number> {
  return tx.run(sql`
    DELETE FROM credentials WHERE digest = ANY(ARRAY(
      SELECT digest FROM credentials WHERE expires_at <= ${now} LIMIT ${limit} FOR UPDATE SKIP LOCKED))`)
}

/** Deletes up to `limit` sign-ins that were revoked, or of which nothing can be valid any more, with their credentials. */
export function deleteEndedSignIns(tx: Tx, now: Date, limit: number): Promise<number> {
  return tx.run(sql`
    DELETE FROM sign_ins WHERE id = ANY(ARRAY(
      SELECT id FROM sign_ins WHERE revoked_at IS NOT NULL OR expires_at <= ${now} LIMIT ${limit} FOR UPDATE SKIP LOCKED))`)
}
