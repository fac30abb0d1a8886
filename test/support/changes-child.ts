// A change log with one subscriber in a process of its own, for tests that kill it: node --import tsx changes-child.ts <JSON>
import { pino } from 'pino'

import { recordChange, type Subscriber } from '../../src/changes/index.ts'
import { createDb, type Tx } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { armFault } from '../../src/platform/fault.ts'
import { noteWritten, startChangeLog } from './changes.ts'

const { url, fault, mode, records, deadly } = JSON.parse(process.argv[2] ?? '{}') as {
  url: string
  fault?: string
  mode: Subscriber['mode']
  /** How many changes to record, one transaction each. */
  records: number
  /** The text of a change that ends the process. */
  deadly?: string
}
const db = createDb({ url, poolSize: 4, applicationName: 'souk changes child', log: pino({ level: 'silent' }) })
const log = await startChangeLog(db)

async function handle(tx: Tx, changes: Parameters<Subscriber['handle']>[1]): Promise<void> {
  for (const change of changes) {
    const { text } = change.data as { text: string }
    await tx.run(sql`INSERT INTO effects (id, key, text) VALUES (${change.id}, ${change.key}, ${text})`)
    if (text === deadly) process.kill(process.pid, 'SIGKILL')
  }
}

await log.run({ name: 'child', topics: ['test.note.*'], mode, handle })
armFault(fault)
process.stdout.write('ready\n')
for (let n = 0; n < records; n++) {
  await db.transaction(async (tx) => {
    const id = await recordChange(tx, {
      topic: noteWritten,
      subjectId: `${n % 3}`,
      actor: null,
      audience: ['public'],
      data: { text: `${n}` },
    })
    await tx.run(sql`INSERT INTO facts (id) VALUES (${id})`)
  })
}
