import type { Config } from '../platform/config.ts'

/** What the connections of a process set in PostgreSQL, so that the rows they change are kept for the stream: nothing without Redis. */
export function capturedRows({ redisUrl }: Pick<Config, 'redisUrl'>): Record<string, string> {
  return redisUrl === undefined ? {} : { 'souk.change_stream': 'on' }
}
