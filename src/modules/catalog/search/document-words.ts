import type { Tx } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import { faultPoint } from '../../../platform/fault.ts'
import type { Service } from '../../../platform/service.ts'
import type { Context } from '../../module.ts'
import { documentWords, learnWords } from './words.ts'

/**
 * Makes the words of up to so many documents that have none and returns the number. Documents that somebody else is writing, or making the
 * words of, are left out. A document is found with and without words, so it does not matter when this happens, or whether again.
 */
export async function makeDocumentWords(tx: Tx, limit: number): Promise<number> {
  const row = await tx.row<{ made: number }>(sql`
    WITH wordless AS MATERIALIZED (
      SELECT * FROM product_search WHERE words IS NULL ORDER BY updated LIMIT ${limit} FOR NO KEY UPDATE SKIP LOCKED
    ), saved AS (
      UPDATE product_search SET words = ${documentWords('wordless')} FROM wordless
      WHERE product_search.product_id = wordless.product_id
      RETURNING product_search.words
    ), learned AS (${learnWords('saved')})
    SELECT count(*) AS made FROM saved`)
  faultPoint('search-before-words-commit')
  return row?.made ?? 0
}

/** About 25 ms of work: a writer of one of these products waits no longer. */
const BATCH = 100
const POLL_MS = 500
const STOP_WAIT_MS = 3_000

/** Makes the words of documents that were written without, as feeds do. Works half of the time, so that requests and imports have the rest. */
export function documentWordsService({ db, log }: Pick<Context, 'db' | 'log'>): Service {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let isStopped = false

  async function work(): Promise<void> {
    const began = performance.now()
    const made = await db
      .transaction((tx) => makeDocumentWords(tx, BATCH))
      .catch((error: unknown) => {
        log.warn({ err: error }, 'could not make the words of search documents, will try again')
        return 0
      })
    if (!isStopped) timer = setTimeout(begin, made === BATCH ? performance.now() - began : POLL_MS)
  }

  function begin(): void {
    running = work()
  }

  return {
    name: 'catalog.make-document-words',
    start: async () => begin(),
    stop: async () => {
      isStopped = true
      clearTimeout(timer)
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, STOP_WAIT_MS).unref())])
    },
  }
}
