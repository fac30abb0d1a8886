import { randomBytes } from 'node:crypto'

import { pino } from 'pino'

import { insertUsers, type SampleUser } from '../../bench/support/store-users.ts'
import { createDb, type Db } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'

export type Buyer = SampleUser

export interface BuyerOptions {
  areStaff?: boolean
}

/** Users who are signed in already, in a database that other buyers may be in. */
export async function makeBuyers(databaseUrl: string, count: number, options: BuyerOptions = {}): Promise<Buyer[]> {
  const log = pino({ level: 'silent' })
  const db = createDb({ url: databaseUrl, poolSize: 1, applicationName: 'souk buyers', log })
  try {
    return await insertBuyers(db, count, options)
  } finally {
    await db.close()
  }
}

export function insertBuyers(db: Db, count: number, { areStaff = false }: BuyerOptions = {}): Promise<Buyer[]> {
  return db.transaction(async (tx) => {
    const buyers = await insertUsers(tx, `buyer-${randomBytes(4).toString('hex')}`, count)
    const ids = buyers.map(({ id }) => id)
    if (areStaff) await tx.run(sql`UPDATE users SET is_staff = true WHERE id = ANY(${ids}::uuid[])`)
    return buyers
  })
}
