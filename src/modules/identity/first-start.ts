import { randomBytes } from 'node:crypto'

import { sql } from '../../platform/db/sql.ts'
import { ConfigError, type Config } from '../../platform/config.ts'
import { InvalidError } from '../../platform/errors.ts'
import type { Db, Tx } from '../../platform/db/db.ts'
import { readOrCreateSecret, writeOwnerOnly } from '../../platform/secrets.ts'
import { hasClient, insertClient, saveClient } from './oauth-queries.ts'
import { emailFault, usernameFault } from './account-rules.ts'
import { createAccount } from './accounts.ts'
import { prepareAccount, type NewUser } from './operator.ts'
import { digestOf } from './tokens.ts'
import { hasSuperuser } from './users-queries.ts'

/** Any fixed number: of several processes that start at once, one creates the superuser. */
const FIRST_SUPERUSER_LOCK = 7_236_514_002

interface FirstStart {
  db: Db
  config: Config
}

export interface FirstSuperuser {
  username: string
  /** Only when it was made up here; to be shown once. */
  password?: string
  /** Where that password is kept, readable by the owner only. */
  passwordFile?: string
}

/**
 * Creates the first superuser when there is none and the settings say who it is, or, with the embedded database, one with a random password
 * (contracts README, decision 9). Undefined when nobody was created. An existing superuser is never changed.
 */
export async function ensureFirstSuperuser(
  start: FirstStart & { isEmbedded: boolean },
): Promise<FirstSuperuser | undefined> {
  const { db, config, isEmbedded } = start
  const { username, email, password } = config.admin
  const isConfigured = username !== undefined && password !== undefined
  const isMadeUp = isEmbedded && password === undefined
  if (!(isConfigured || isMadeUp) || (await hasSuperuser(db))) return undefined

  const admin: NewUser = {
    username: username ?? 'admin',
    email: email ?? (isMadeUp ? 'admin@localhost' : null),
    password: password ?? randomBytes(15).toString('base64url'),
    role: 'superuser',
  }
  const account = await prepareAccount(config, admin).catch(asConfigError)
  const work = async (tx: Tx): Promise<FirstSuperuser | undefined> => {
    await tx.run(sql`SELECT pg_advisory_xact_lock(${FIRST_SUPERUSER_LOCK})`)
    if (await hasSuperuser(tx)) return undefined
    await createAccount(tx, account, 'operator')
    if (!isMadeUp) return { username: admin.username }
    // Before the commit: a password that nobody can read would lock everybody out.
    const passwordFile = await writeOwnerOnly(config.dataDir, 'admin-password', `${admin.username} ${admin.password}\n`)
    return { username: admin.username, password: admin.password, passwordFile }
  }
  return db.transaction(work).catch(asConfigError)
}

/** What is wrong with the settings of the first superuser, whether or not there is one already; the password is judged when it is used. */
export function adminFaults({ admin: { username, email } }: Pick<Config, 'admin'>): string[] {
  const faults = [
    ['ADMIN_USERNAME', username === undefined ? undefined : usernameFault(username)],
    ['ADMIN_EMAIL', email === undefined ? undefined : emailFault(email)],
  ]
  return faults.flatMap(([name, fault]) => (fault === undefined ? [] : [`${name}: ${fault}`]))
}

/** A fault of the admin's name, e-mail or password is a fault of the settings. */
function asConfigError(error: unknown): never {
  if (!(error instanceof InvalidError) || error.errors === undefined) throw error
  throw new ConfigError(Object.entries(error.errors).map(([field, [text]]) => `ADMIN_${field.toUpperCase()}: ${text}`))
}

/**
 * Creates the first OAuth2 client, `OAUTH_CLIENT_ID`. With `OAUTH_CLIENT_SECRET` it has that secret from now on; without, a generated one,
 * kept in the data folder, and an existing client keeps its own.
 */
export async function ensureOauthClient({ db, config }: FirstStart): Promise<void> {
  const { oauthClientId: id, oauthClientSecret } = config
  if (oauthClientSecret !== undefined) {
    await db.transaction((tx) => saveClient(tx, id, digestOf(oauthClientSecret)))
    return
  }
  if (await hasClient(db, id)) return
  const secret = await readOrCreateSecret(config.dataDir, 'oauth-client-secret', 32)
  await db.transaction((tx) => insertClient(tx, id, digestOf(secret)))
}
