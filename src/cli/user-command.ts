import { loadConfig } from '../platform/config.ts'
import { createLogger } from '../platform/log.ts'
import { parseArguments, UsageError, type Command } from './command.ts'
import { openDatabase } from './database.ts'
import { createUser, setPassword } from './user.ts'

const help = `Usage: souk user create NAME [--email ADDRESS] [--password TEXT] [--staff | --superuser]
       souk user set-password NAME [--password TEXT]

Works on the database of the settings, also while Souk runs on it. Without --password a random one is made and printed. A password on the
command line is seen by other accounts of this machine while the command runs. set-password ends every sign-in of the user.`

export const userCommand: Command = {
  name: 'user',
  summary: 'create a user with a role, or set a password',
  help,
  async run(args) {
    const { values, positionals } = parse(args)
    const [action, name, ...more] = positionals
    if (name === undefined || more.length > 0 || (action !== 'create' && action !== 'set-password'))
      throw new UsageError(help)
    const config = loadConfig()
    const database = await openDatabase(config, createLogger({ ...config.log, level: 'warn' }), { mayShare: true })
    try {
      const context = { db: database.db, config }
      const role = values.superuser ? 'superuser' : values.staff ? 'staff' : 'user'
      const done =
        action === 'create'
          ? await createUser(context, { username: name, email: values.email ?? null, password: values.password, role })
          : await setPassword(context, name, values.password)
      process.stdout.write(`${done}\n`)
      return 0
    } finally {
      await database.close()
    }
  },
}

function parse(args: string[]) {
  const options = {
    email: { type: 'string' },
    password: { type: 'string' },
    staff: { type: 'boolean' },
    superuser: { type: 'boolean' },
  } as const
  return parseArguments({ args, allowPositionals: true, options }, help)
}
