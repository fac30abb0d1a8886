import { apiCommand, serveCommand, workerCommand } from './cli/serve.ts'
import { UsageError, type Command } from './cli/command.ts'
import { demoCommand } from './cli/demo.ts'
import { importCommand } from './cli/import.ts'
import { migrateCommand } from './cli/migrate.ts'
import { userCommand } from './cli/user-command.ts'
import { ConfigError } from './platform/config.ts'
import { version } from './platform/version.ts'

const commands: Command[] = [
  serveCommand,
  apiCommand,
  workerCommand,
  migrateCommand,
  userCommand,
  importCommand,
  demoCommand,
]

/** For what is written last; then a timer or a connection that somebody forgot must not keep a process that is done. */
const LINGER_MS = 1_000

process.exitCode = await main(process.argv.slice(2))
setTimeout(() => process.exit(), LINGER_MS).unref()

async function main(args: string[]): Promise<number> {
  const [first = 'serve', ...rest] = args
  if (first === '--version') return print(version)
  if (first === '--help' || first === '-h' || first === 'help') return print(overview())
  const command = commands.find((candidate) => candidate.name === first)
  if (command === undefined) return complain(`souk: there is no command "${first}".\n\n${overview()}`)
  if (rest.includes('--help') || rest.includes('-h')) return print(command.help)
  try {
    return await command.run(rest)
  } catch (error) {
    if (error instanceof UsageError || error instanceof ConfigError) return complain(error.message)
    throw error
  }
}

function overview(): string {
  const lines = commands.map((command) => `  ${command.name.padEnd(9)} ${command.summary}`)
  return `Usage: souk [command] [options]

Commands:
${lines.join('\n')}

"souk <command> --help" tells more. Settings come from the environment and an optional .env: see .env.example.`
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`)
  return 1
}
