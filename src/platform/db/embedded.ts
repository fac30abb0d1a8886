export { findEmbeddedPostgres, startEmbeddedPostgres } from './embedded/launcher.ts'
export type { EmbeddedPostgres, EmbeddedPostgresOptions } from './embedded/launcher.ts'
export { DataFolderInUseError, EmbeddedPostgresError } from './embedded/errors.ts'
export { checkReachable, DatabaseUnreachableError, explainConnectionError } from './database-url.ts'
