import type { Config } from '../../platform/config.ts'
import type { Db } from '../../platform/db/db.ts'
import { NotFoundError } from '../../platform/errors.ts'
import { foldCase } from '../../platform/fold-case.ts'
import { emailFault, passwordFault, refuseFaults, usernameFault } from './account-rules.ts'
import { changePassword, createAccount, type NewAccount } from './accounts.ts'
import { passwordHashing } from './passwords.ts'
import { findAccountByName, type User } from './users-queries.ts'

/** What the operator may do from the command line and at start, where nobody is signed in. */
interface OperatorContext {
  db: Db
  config: Config
}

export interface NewUser {
  username: string
  email: string | null
  password: string
  /** `superuser` is staff as well. */
  role: 'user' | 'staff' | 'superuser'
}

/** Creates a user with a role that sign-up never gives; throws InvalidError with what is wrong. */
export async function createUserAsOperator({ db, config }: OperatorContext, user: NewUser): Promise<User> {
  const account = await prepareAccount(config, user)
  return db.transaction((tx) => createAccount(tx, account, 'operator'))
}

/** Sets the password of the user with this name or e-mail and ends all sign-ins; throws NotFoundError or InvalidError. */
export async function setPasswordAsOperator(
  { db, config }: OperatorContext,
  name: string,
  password: string,
): Promise<User> {
  refuseFaults({ password: passwordFault(password, config.identity.passwordMinLength) })
  const account = await findAccountByName(db, foldCase(name))
  if (account === undefined) throw new NotFoundError(`There is no user "${name}".`)
  const passwordHash = await passwordHashing.hash(password)
  await db.transaction((tx) =>
    changePassword(tx, { checked: null, userId: account.id, passwordHash, keptSignInId: null }),
  )
  return account
}

/** The account of a new user, checked and with the password hashed. */
export async function prepareAccount(config: Config, user: NewUser): Promise<NewAccount> {
  const { username, email, password, role } = user
  refuseFaults({
    username: usernameFault(username),
    email: email === null ? undefined : emailFault(email),
    password: passwordFault(password, config.identity.passwordMinLength),
  })
  const passwordHash = await passwordHashing.hash(password)
  return { username, email, passwordHash, isStaff: role !== 'user', isSuperuser: role === 'superuser' }
}
