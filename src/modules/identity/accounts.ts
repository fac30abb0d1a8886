import { recordChange } from '../../changes/index.ts'
import { InvalidError, NotFoundError } from '../../platform/errors.ts'
import { foldCase } from '../../platform/fold-case.ts'
import type { Caller } from '../../platform/http/caller.ts'
import type { Tx } from '../../platform/db/db.ts'
import { newId } from '../../platform/ids.ts'
import { EMAIL_TAKEN, USERNAME_TAKEN } from './account-rules.ts'
import { requireSelfOrStaff } from './policy.ts'
import { markSignInsRevoked } from './sign-in-queries.ts'
import { audienceOf, passwordChanged, userCreated, userDeleted, userUpdated } from './topics.ts'
import { runUserDeletedHandlers } from './user-deletion.ts'
import {
  deleteLoginNames,
  insertLoginNames,
  insertUser,
  lockAccount,
  markUserDeleted,
  savePasswordHash,
  saveUser,
  type Account,
  type NewUser,
  type User,
  type UserPatch,
} from './users-queries.ts'

/** What the older endpoints say of an unknown, deleted or malformed id (identity contract, section 7). */
export const NO_USER = 'No user found'

export type NewAccount = Pick<NewUser, 'username' | 'email' | 'passwordHash'> & Partial<NewUser>

/** Creates a user; throws InvalidError when the name or the e-mail is taken, by either kind of name of a live user. */
export async function createAccount(tx: Tx, account: NewAccount, by: 'self' | 'operator' = 'self'): Promise<User> {
  const defaults = { id: newId(), firstName: '', lastName: '', isStaff: false, isSuperuser: false }
  const user = await insertUser(tx, { ...defaults, ...account })
  await claimNames(tx, user.id, namesOf(user), user)
  await recordChange(tx, {
    topic: userCreated,
    subjectId: user.id,
    actor: by === 'self' ? user.id : null,
    audience: audienceOf(user.id),
    data: { user_id: user.id, username: user.username },
  })
  return user
}

/** Changes what the patch names of a user; `check` may refuse the members that differ. A patch that changes nothing leaves no trace. */
export async function updateAccount(
  tx: Tx,
  caller: Caller,
  id: string,
  patch: UserPatch,
  check: (changes: UserPatch) => void,
): Promise<User> {
  const account = await lockAccount(tx, id)
  if (account === undefined) throw new NotFoundError(NO_USER)
  requireSelfOrStaff(caller, id)
  const fields = changedFields(account, patch)
  if (fields.length === 0) return account
  check(Object.fromEntries(fields.map((field) => [field, patch[field]])))

  const wanted = { ...account, ...patch }
  await deleteLoginNames(tx, id, namesOf(wanted))
  await claimNames(
    tx,
    id,
    namesOf(wanted).filter((name) => !namesOf(account).includes(name)),
    wanted,
  )
  const user = await saveUser(tx, wanted)
  await recordChange(tx, {
    topic: userUpdated,
    subjectId: id,
    actor: caller.userId,
    audience: audienceOf(id),
    data: { user_id: id, username: user.username, fields: fields.map((field) => FIELD_NAMES[field]) },
  })
  return user
}

/** Deletes a user softly: every sign-in ends, the names become free, and what other modules registered happens with it. */
export async function deleteAccount(tx: Tx, caller: Caller, id: string, now: Date): Promise<void> {
  const account = await lockAccount(tx, id)
  if (account === undefined) throw new NotFoundError(NO_USER)
  requireSelfOrStaff(caller, id)

  await markUserDeleted(tx, id)
  await deleteLoginNames(tx, id)
  await markSignInsRevoked(tx, id, null)
  await runUserDeletedHandlers(tx, { id, actor: caller.userId }, now)
  await recordChange(tx, {
    topic: userDeleted,
    subjectId: id,
    actor: caller.userId,
    audience: audienceOf(id),
    data: { user_id: id, username: account.username },
  })
}

interface PasswordChange {
  /** The account whose old password was checked; null when the operator sets it. */
  checked: Account | null
  userId: string
  passwordHash: string
  /** The sign-in that lives on. */
  keptSignInId: string | null
}

/** Sets a new password and ends every other sign-in of the user. */
export async function changePassword(tx: Tx, change: PasswordChange): Promise<void> {
  const { checked, userId, passwordHash, keptSignInId } = change
  const account = await lockAccount(tx, userId)
  if (account === undefined) throw new NotFoundError()
  // Of two changes that checked the same old password, the second finds it is no longer the password.
  if (checked !== null && checked.passwordHash !== account.passwordHash) throw wrongOldPassword()

  await savePasswordHash(tx, userId, passwordHash)
  await markSignInsRevoked(tx, userId, keptSignInId)
  await recordChange(tx, {
    topic: passwordChanged,
    subjectId: userId,
    actor: checked === null ? null : userId,
    audience: audienceOf(userId),
    data: { user_id: userId, kept_sign_in_id: keptSignInId },
  })
}

export function wrongOldPassword(): InvalidError {
  return InvalidError.fields({ old_password: ['The old password is not right.'] })
}

type Names = Pick<User, 'username' | 'email'>

/** The names a user signs in with, each once. Sorted, so that two sign-ups that want the same ones wait and do not deadlock. */
function namesOf({ username, email }: Names): string[] {
  const names = [foldCase(username), ...(email === null ? [] : [foldCase(email)])]
  return [...new Set(names)].toSorted()
}

async function claimNames(tx: Tx, userId: string, names: string[], { username, email }: Names): Promise<void> {
  const claimed = await insertLoginNames(tx, userId, names)
  if (claimed.length === names.length) return
  const isTaken = (name: string) => names.includes(foldCase(name)) && !claimed.includes(foldCase(name))
  const emailErrors = email !== null && isTaken(email) ? { email: [EMAIL_TAKEN] } : {}
  const usernameErrors = isTaken(username) ? { username: [USERNAME_TAKEN] } : {}
  // Who signs up with an e-mail alone knows of no user name: then the e-mail comes first and is the detail.
  throw InvalidError.fields(
    username === email ? { ...emailErrors, ...usernameErrors } : { ...usernameErrors, ...emailErrors },
  )
}

const FIELD_NAMES = { username: 'username', email: 'email', firstName: 'first_name', lastName: 'last_name' } as const

function changedFields(user: User, patch: UserPatch): (keyof UserPatch)[] {
  const keys = Object.keys(FIELD_NAMES) as (keyof typeof FIELD_NAMES)[]
  return keys.filter((key) => patch[key] !== undefined && patch[key] !== user[key])
}
