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
export function explainOutput(output: string, place: { dataDir: string; logFile: string }): EmbeddedPostgresError {
  if (/No space left on device|Disk quota exceeded/.test(output))
    return new EmbeddedPostgresError(diskFullSentence(place.dataDir))
  if (/Read-only file system/.test(output)) return new EmbeddedPostgresError(readOnlySentence(place.dataDir))
  const version = /initialized by PostgreSQL version (\S+),? which is not compatible with this version (\S+)/.exec(
    output,
  )
  if (version !== null) {
    return new EmbeddedPostgresError(
      `The database in ${place.dataDir} was made by PostgreSQL ${version[1]}, and this Souk brings ${version[2]?.replace(/\.$/, '')}. ` +
        'Start the earlier release of Souk, dump the database, and load the dump here.',
    )
  }
  return new EmbeddedPostgresError(
    `The embedded PostgreSQL did not start: ${lastComplaint(output)} (whole log: ${place.logFile})`,
  )
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
