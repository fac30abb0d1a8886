import { loadConfig } from '../platform/config.ts'
import { createLogger } from '../platform/log.ts'
import { requireNoArguments, type Command } from './command.ts'
import { openDatabase } from './database.ts'

export const migrateCommand: Command = {
  name: 'migrate',
  summary: 'bring the database schema to this version and stop',
  help: `Usage: souk migrate

Applies the numbered SQL migrations that the database does not have yet and exits. "souk serve" does the same at start; run this alone
to migrate before the processes of a new version start. Several at once are safe: one works, the others wait.`,
  async run(args) {
    requireNoArguments('migrate', args)
    const config = loadConfig()
    const log = createLogger(config.log)
    const database = await openDatabase(config, log, { mayShare: true })
    try {
      log.info(
        { applied: database.applied },
        database.applied.length === 0 ? 'schema is up to date' : 'schema migrated',
      )
      return 0
    } finally {
      await database.close()
    }
  },
}
