import { readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'

import { EmbeddedPostgresError } from './errors.ts'

/** The account PostgreSQL runs as. */
export interface Account {
  uid: number
  gid: number
  name: string | undefined
  /** Whether it is another account than ours: PostgreSQL refuses to run as root. */
  switched: boolean
}

/** Tried in this order; the last is on every Linux. On macOS the account for PostgreSQL has an underscore. */
const UNPRIVILEGED = ['souk', 'postgres', '_postgres', 'nobody']

/** Our own account, or, for root, the owner of the existing database, else the first of the unprivileged accounts there is. */
export async function serverAccount(clusterFolder: string): Promise<Account> {
  const uid = process.geteuid?.()
  const gid = process.getegid?.()
  if (uid === undefined || gid === undefined) {
    throw new EmbeddedPostgresError(
      'The embedded PostgreSQL does not run on this system. Set DATABASE_URL to a PostgreSQL server.',
    )
  }
  if (uid !== 0) return { uid, gid, name: ownName(uid), switched: false }

  const accounts = await readAccounts()
  const owner = await stat(clusterFolder).catch(() => undefined)
  if (owner !== undefined && owner.uid !== 0) {
    const name = accounts.find((account) => account.uid === owner.uid)?.name
    return { uid: owner.uid, gid: owner.gid, name, switched: true }
  }
  const found = UNPRIVILEGED.map((name) => accounts.find((account) => account.name === name)).find(Boolean)
  if (found !== undefined) return { ...found, switched: true }
  throw new EmbeddedPostgresError(
    `PostgreSQL refuses to run as root, and there is none of the accounts ${UNPRIVILEGED.join(', ')} to run it as. ` +
      'Start Souk with an ordinary account, or set DATABASE_URL.',
  )
}

/** What `spawn` needs to start a program with the account. */
export function spawnAs(account: Account): { uid?: number; gid?: number } {
  return account.switched ? { uid: account.uid, gid: account.gid } : {}
}

function ownName(uid: number): string {
  try {
    return userInfo().username
  } catch (error) {
    throw new EmbeddedPostgresError(
      `PostgreSQL needs a name for the account it runs as, and uid ${uid} has none in /etc/passwd. Add one, or set DATABASE_URL.`,
      { cause: error },
    )
  }
}

async function readAccounts(): Promise<{ name: string; uid: number; gid: number }[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '')
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter((account) => account.uid > 0 && account.gid >= 0)
}
