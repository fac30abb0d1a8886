import type { SpoolFile } from './spool.ts'

/** The elements of a JSON array, kept in a spool file: for lists that the maker of a file can make longer than memory allows. */
export interface SpooledList {
  /** Keeps the value in memory until the next `flush`. */
  add(value: unknown): void
  flush(): Promise<void>
  /** The array as JSON text, of what was flushed. */
  json(): AsyncGenerator<string | Buffer>
}

export function createSpooledList(file: SpoolFile): SpooledList {
  let waiting: string[] = []
  let isFirst = true

  return {
    add(value) {
      waiting.push(isFirst ? JSON.stringify(value) : `,${JSON.stringify(value)}`)
      isFirst = false
    },
    async flush() {
      if (waiting.length === 0) return
      const text = waiting.join('')
      waiting = []
      await file.write(Buffer.from(text))
    },
    async *json() {
      yield '['
      yield* file.read()
      yield ']'
    },
  }
}
