import { pino } from 'pino'
import { Type } from 'typebox'

import { createChangeLog, defineTopic, recordChange } from '../../src/changes/index.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { loadConfig } from '../../src/platform/config.ts'
import { createDb, type Db } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { ratioOf, type Scenario } from '../support/scenario.ts'
import { median } from '../support/stats.ts'
import { onServer, openWorkbench } from '../support/workbench.ts'

const WRITERS = 8
const payload = 'x'.repeat(200)

const ticked = defineTopic({
  name: 'bench.tick.sent',
  description: 'A benchmark has written a row.',
  subject: 'tick',
  heardBy: 'nobody',
  data: Type.Object({ payload: Type.String() }),
})

/** Transactions of one row with their change, until the last is in the log, beside the same transactions with a bare insert instead. */
export const changesScenario: Scenario = {
  name: 'changes',
  async run(sizes) {
    const bench = await openWorkbench()
    const databaseUrl = await bench.createDatabase()
    const souk = await bench.startSouk(databaseUrl)
    await souk.stop()
    await onServer(
      databaseUrl,
      'CREATE TABLE bench_rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)',
    )
    await onServer(
      databaseUrl,
      'CREATE TABLE bench_bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)',
    )
    const log = pino({ level: 'silent' })
    const config = loadConfig({ DATABASE_URL: databaseUrl, LOG_LEVEL: 'silent' })
    const db = createDb({ url: databaseUrl, poolSize: WRITERS + 4, applicationName: 'souk bench', log })
    const changeLog = createChangeLog({ db, config, clock: systemClock, log, topics: [ticked] })
    const services = changeLog.services()
    for (const service of services) await service.start()
    const ours: number[] = []
    const theirs: number[] = []
    try {
      for (let round = 0; round < sizes.rounds; round++) {
        ours.push(await logged(db, changeLog, sizes.seconds))
        theirs.push(await write(db, sizes.seconds, bareTransaction))
      }
      return [ratioOf('changes recorded and sequenced, 8 writers', 'changes/s', median(ours), median(theirs))]
    } finally {
      for (const service of services.toReversed()) await service.stop()
      await db.close()
      await bench.close()
    }
  },
}

/** Changes per second from the first write until the last one has its position. */
async function logged(db: Db, changeLog: ReturnType<typeof createChangeLog>, seconds: number): Promise<number> {
  const before = (await changeLog.head()).position
  const started = performance.now()
  const perSecond = await write(db, seconds, loggedTransaction)
  const expected = before + Math.round((perSecond * (performance.now() - started)) / 1000)
  // The rate of writing counts only as far as the log has followed.
  while ((await changeLog.head()).position < expected * 0.999) await new Promise((resolve) => setTimeout(resolve, 5))
  const count = (await changeLog.head()).position - before
  return count / ((performance.now() - started) / 1000)
}

async function write(db: Db, seconds: number, transaction: (db: Db) => Promise<void>): Promise<number> {
  const started = performance.now()
  const until = started + seconds * 1000
  let count = 0
  async function writer(): Promise<void> {
    while (performance.now() < until) {
      await transaction(db)
      count += 1
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, writer))
  return count / ((performance.now() - started) / 1000)
}

function loggedTransaction(db: Db): Promise<void> {
  return db.transaction(async (tx) => {
    const row = await tx.row<{ id: number }>(sql`INSERT INTO bench_rows (payload) VALUES (${payload}) RETURNING id`)
    await recordChange(tx, {
      topic: ticked,
      subjectId: String(row!.id),
      actor: null,
      audience: ['staff'],
      data: { payload },
    })
  })
}

function bareTransaction(db: Db): Promise<void> {
  return db.transaction(async (tx) => {
    await tx.row(sql`INSERT INTO bench_rows (payload) VALUES (${payload}) RETURNING id`)
    await tx.run(sql`INSERT INTO bench_bare (payload) VALUES (${payload})`)
  })
}
