import { parseArgs, type ParseArgsConfig } from 'node:util'

/** One sub-command of `souk`. */
export interface Command {
  name: string
  /** One line for `souk --help`. */
  summary: string
  /** What `souk <name> --help` prints. */
  help: string
  /** Returns the exit code. */
  run(args: string[]): Promise<number>
}

/** A mistake of the person at the keyboard: its text is printed as it is, with exit code 1 and no stack. */
export class UsageError extends Error {}

/**
 * Throws UsageError where the arguments are not what the options allow, with the help if it is given. What follows an option
 * that takes a text is its value, also when it begins with a dash as a token or a password may, unless it is an option itself.
 */
export function parseArguments<T extends ParseArgsConfig>(config: T, help?: string): ReturnType<typeof parseArgs<T>> {
  try {
    const joined: T = { ...config, args: joinValues(config) }
    return parseArgs(joined)
  } catch (error) {
    const { message } = error as Error
    throw new UsageError(help === undefined ? message : `${message}\n\n${help}`)
  }
}

/** `--token -x` as `--token=-x`: node:util refuses the first as ambiguous. */
function joinValues({ args = [], options = {} }: ParseArgsConfig): string[] {
  const joined: string[] = []
  let awaiting = false
  for (const arg of args) {
    if (awaiting && arg.startsWith('-') && !isOption(arg, options)) joined.push(`${joined.pop() ?? ''}=${arg}`)
    else joined.push(arg)
    awaiting = arg.startsWith('--') && options[arg.slice(2)]?.type === 'string'
  }
  return joined
}

function isOption(arg: string, options: NonNullable<ParseArgsConfig['options']>): boolean {
  return arg === '--' || Object.keys(options).some((name) => arg === `--${name}` || arg.startsWith(`--${name}=`))
}

/** Where the server of these settings answers on this machine. */
export function urlOf({ host, port }: { host: string; port: number }): string {
  return `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}`
}

/** For a command that is told everything by the settings: what it would ignore is refused. */
export function requireNoArguments(command: string, args: string[]): void {
  if (args.length === 0) return
  throw new UsageError(
    `souk ${command} takes no arguments, not "${args.join(' ')}": settings such as PORT come from the environment.`,
  )
}
