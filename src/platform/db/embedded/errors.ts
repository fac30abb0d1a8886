import { diskFullSentence, readOnlySentence } from '../../data-folder.ts'

/** Why the embedded database does not run, as a sentence for the person who started the server. */
export class EmbeddedPostgresError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'EmbeddedPostgresError'
  }
}

/** Another Souk works in this data folder. */
export class DataFolderInUseError extends EmbeddedPostgresError {
  constructor(
    readonly dataDir: string,
    owner: string,
  ) {
    super(
      `The data folder ${dataDir} is in use by another Souk (${owner}). Stop that one first, or start this one with another DATA_DIR.`,
    )
    this.name = 'DataFolderInUseError'
  }
}

/** The tail of the log is quoted only this far: it goes to a terminal. */
const MAX_QUOTE = 2_000

/** Turns what `initdb` or `postgres` wrote before it gave up into a sentence. */
export function explainOutput(
  output: string,
  place: { dataDir: string; logFile: string },
  cause?: Error,
): EmbeddedPostgresError {
  return new EmbeddedPostgresError(sentenceFor(output, place), { cause })
}

function sentenceFor(output: string, { dataDir, logFile }: { dataDir: string; logFile: string }): string {
  if (/No space left on device|Disk quota exceeded|Check free disk space/.test(output)) return diskFullSentence(dataDir)
  if (/Read-only file system/.test(output)) return readOnlySentence(dataDir)
  const version =
    /initialized by PostgreSQL version ([\d.]+),? which is not compatible with this version ([\d.]*\d)/.exec(output)
  if (version !== null) {
    return (
      `The database in ${dataDir} was made by PostgreSQL ${version[1]}, and this Souk brings ${version[2]}. ` +
      'Start the earlier release of Souk, dump the database, and load the dump here.'
    )
  }
  return `The embedded PostgreSQL did not start: ${lastComplaint(output)} (whole log: ${logFile})`
}

/** Whether the server refused because processes of its predecessor have not ended yet; a moment later it may start. */
export function isPredecessorStillEnding(output: string): boolean {
  return /pre-existing shared memory block|lock file ".*" already exists/.test(output)
}

function lastComplaint(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const fatal = lines.filter((line) => /\b(FATAL|PANIC|error|fatal):/.test(line)).at(-1)
  const text = fatal ?? lines.at(-1) ?? 'it gave no reason'
  return text.replace(/^.*?\b(?:FATAL|PANIC|error|fatal):\s*/, '').slice(0, MAX_QUOTE)
}
