import { pino } from 'pino'
import { Type } from 'typebox'

import { createChangeLog, defineTopic, recordChange, type ChangeLog, type Subscriber } from '../../src/changes/index.ts'
import type { AudienceKey } from '../../src/changes/index.ts'
import { systemClock, type Clock } from '../../src/platform/clock.ts'
import { loadConfig } from '../../src/platform/config.ts'
import type { Db } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import type { Service } from '../../src/platform/service.ts'
import { until } from './until.ts'

export { until }

const describedAs = { description: 'A test has happened.', subject: 'note', heardBy: 'the test' }
const data = Type.Object({ text: Type.String() })

export const noteWritten = defineTopic({ ...describedAs, name: 'test.note.written', data })
export const noteErased = defineTopic({ ...describedAs, name: 'test.note.erased', data })

export interface TestLog {
  changeLog: ChangeLog
  /** Runs subscribers as another service of this process. */
  run(...subscribers: Subscriber[]): Promise<Service>
  /** Waits until everything committed is in the log and the subscribers of this process are done. */
  drain(): Promise<void>
  stop(): Promise<void>
}

/** A change log as one process has it, on the pool given. */
export async function startChangeLog(
  db: Db,
  env: Record<string, string> = {},
  clock: Clock = systemClock,
): Promise<TestLog> {
  const log = pino({ level: 'silent' })
  const config = loadConfig({ ...env })
  const changeLog = createChangeLog({ db, config, clock, log, topics: [noteWritten, noteErased] })
  const services = changeLog.services()
  for (const service of services) await service.start()

  return {
    changeLog,
    run: async (...subscribers) => {
      const [service] = changeLog.subscriberServices(subscribers)
      await service!.start()
      services.push(service!)
      return service!
    },
    drain: async () => {
      const last = await db.row<{ seq: number }>(sql`SELECT outbox_last_seq() AS seq`)
      await until('the log is at rest', () => changeLog.isDrained(last!.seq))
    },
    stop: async () => {
      for (const service of services.toReversed()) await service.stop()
    },
  }
}

/** Records one change in a transaction of its own and returns its id. */
export async function note(
  db: Db,
  text: string,
  options: { key?: string; audience?: AudienceKey[] } = {},
): Promise<string> {
  const { key = text, audience = ['public'] } = options
  return db.transaction((tx) =>
    recordChange(tx, { topic: noteWritten, subjectId: key, actor: null, audience, data: { text } }),
  )
}
