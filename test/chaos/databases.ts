import { randomBytes } from 'node:crypto'

import type { Workbench } from '../../bench/support/workbench.ts'
import { onServer } from '../../bench/support/workbench.ts'
import { databaseUrl, prepareTemplate } from '../support/template.ts'

export interface Databases {
  /** Gives the work a migrated database of its own, which is gone afterwards: thousands of them would fill the disk. */
  lend<T>(work: (url: string) => Promise<T>): Promise<T>
}

export async function openDatabases(bench: Workbench): Promise<Databases> {
  const serverUrl = databaseUrl(await bench.createDatabase(), 'postgres')
  const template = await prepareTemplate(serverUrl)
  return {
    lend: async (work) => {
      const name = `chaos_${randomBytes(4).toString('hex')}`
      await onServer(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`)
      try {
        return await work(databaseUrl(serverUrl, name))
      } finally {
        // Not by force: that may not end an autovacuum at work there. Without, it is ended, and leftovers of killed processes get 5 s.
        await onServer(serverUrl, `DROP DATABASE ${name}`)
      }
    },
  }
}
