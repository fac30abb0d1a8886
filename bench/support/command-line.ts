import { UsageError } from '../../src/cli/command.ts'

/** Reads the command line of `npm run <script>`. Where it asks for help, or `read` throws UsageError, that is printed and the process ends. */
export function readCommandLine<T>(script: string, usage: string, read: (args: string[]) => T): T {
  const args = process.argv.slice(2)
  if (args.includes('--help')) {
    process.stdout.write(usage)
    process.exit(0)
  }
  try {
    return read(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message.replace(/\.?$/, '.')} "npm run ${script} -- --help" tells what there is.\n`)
    process.exit(2)
  }
}

/** The names in a list separated by commas; undefined without one. */
export function readNames(text: string | undefined, known: readonly string[]): string[] | undefined {
  const names = text?.split(',')
  const unknown = names?.filter((name) => !known.includes(name)) ?? []
  if (unknown.length > 0) throw new UsageError(`There is no ${unknown.map((name) => `"${name}"`).join(', ')}.`)
  return names
}

export function readCount(option: string, text: string): number {
  const count = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count === 0) {
    throw new UsageError(`${option} takes whole numbers of 1 or more, not "${text}".`)
  }
  return count
}
