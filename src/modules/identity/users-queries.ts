import { sql } from '../../platform/db/sql.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'
import type { Timestamp } from '../../platform/clock.ts'

/** A user as other modules may see it. */
export interface User {
  id: string
  username: string
  email: string | null
  firstName: string
  lastName: string
  isActive: boolean
  isStaff: boolean
  isSuperuser: boolean
  dateJoined: Timestamp
  updated: Timestamp
}

/** The same with what its password is checked against; never leaves this module. */
export interface Account extends User {
  passwordHash: string
}

export interface NewUser {
  id: string
  username: string
  email: string | null
  passwordHash: string
  firstName: string
  lastName: string
  isStaff: boolean
  isSuperuser: boolean
}

export type UserPatch = Partial<Pick<User, 'username' | 'email' | 'firstName' | 'lastName'>>

/** Columns of a User; the table must be called `u`. */
export const userColumns = sql`u.id, u.username, u.email, u.first_name AS "firstName", u.last_name AS "lastName",
  u.is_active AS "isActive", u.is_staff AS "isStaff", u.is_superuser AS "isSuperuser",
  u.date_joined AS "dateJoined", u.updated`

export const accountColumns = sql`${userColumns}, u.password_hash AS "passwordHash"`

export function findUser(db: Queryable, id: string): Promise<User | undefined> {
  return db.row<User>(sql`SELECT ${userColumns} FROM users u WHERE u.id = ${id} AND u.deleted IS NULL`)
}

export function findAccount(db: Queryable, id: string): Promise<Account | undefined> {
  return db.row<Account>(sql`SELECT ${accountColumns} FROM users u WHERE u.id = ${id} AND u.deleted IS NULL`)
}

export function findAccountByName(db: Queryable, loginName: string): Promise<Account | undefined> {
  return db.row<Account>(sql`
    SELECT ${accountColumns} FROM login_names n JOIN users u ON u.id = n.user_id
    WHERE n.name = ${loginName} AND u.deleted IS NULL`)
}

/** The row, locked against every other change of this user until the transaction ends. */
export function lockAccount(tx: Tx, id: string): Promise<Account | undefined> {
  return tx.row<Account>(sql`
    SELECT ${accountColumns} FROM users u WHERE u.id = ${id} AND u.deleted IS NULL FOR NO KEY UPDATE`)
}

export function listUsers(db: Queryable, ids: readonly string[]): Promise<User[]> {
  return db.rows<User>(sql`SELECT ${userColumns} FROM users u WHERE u.id = ANY(${ids}::uuid[]) AND u.deleted IS NULL`)
}

export interface AdminRecipient {
  id: string
  username: string
  email: string
}

/** Active users who are both superuser and staff and have an e-mail address: those whom admin mails go to. */
export function listAdminRecipients(db: Queryable): Promise<AdminRecipient[]> {
  return db.rows<AdminRecipient>(sql`
    SELECT id, username, email FROM users
    WHERE is_superuser AND is_staff AND is_active AND deleted IS NULL AND email IS NOT NULL ORDER BY id`)
}

export async function hasSuperuser(db: Queryable): Promise<boolean> {
  return (await db.row(sql`SELECT 1 FROM users WHERE is_superuser AND deleted IS NULL LIMIT 1`)) !== undefined
}

export async function insertUser(tx: Tx, user: NewUser): Promise<User> {
  const row = await tx.row<User>(sql`
    INSERT INTO users AS u (id, username, email, password_hash, first_name, last_name, is_staff, is_superuser)
    VALUES (${user.id}, ${user.username}, ${user.email}, ${user.passwordHash}, ${user.firstName}, ${user.lastName},
      ${user.isStaff}, ${user.isSuperuser})
    RETURNING ${userColumns}`)
  return row!
}

export async function saveUser(tx: Tx, user: User): Promise<User> {
  const row = await tx.row<User>(sql`
    UPDATE users AS u SET username = ${user.username}, email = ${user.email}, first_name = ${user.firstName},
      last_name = ${user.lastName}, updated = now()
    WHERE u.id = ${user.id} RETURNING ${userColumns}`)
  return row!
}

export async function savePasswordHash(tx: Tx, id: string, passwordHash: string): Promise<void> {
  await tx.run(sql`UPDATE users SET password_hash = ${passwordHash}, updated = now() WHERE id = ${id}`)
}

export async function markUserDeleted(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`UPDATE users SET deleted = now(), updated = now(), is_active = false WHERE id = ${id}`)
}

/** Takes those names that are free and returns them; waits for another transaction that is just taking one. */
export async function insertLoginNames(tx: Tx, userId: string, names: readonly string[]): Promise<string[]> {
  const rows = await tx.rows<{ name: string }>(sql`
    INSERT INTO login_names (name, user_id) SELECT name, ${userId} FROM unnest(${names}::text[]) AS name
    ON CONFLICT (name) DO NOTHING RETURNING name`)
  return rows.map((row) => row.name)
}

export async function deleteLoginNames(tx: Tx, userId: string, kept: readonly string[] = []): Promise<void> {
  await tx.run(sql`DELETE FROM login_names WHERE user_id = ${userId} AND name <> ALL(${kept}::text[])`)
}
