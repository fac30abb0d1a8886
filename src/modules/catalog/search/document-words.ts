import type { Tx } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import { faultPoint } from '../../../platform/fault.ts'
import type { Service } from '../../../platform/service.ts'
import type { Context } from '../../module.ts'
import { documentWords, learnWords } from './words.ts'

/** Most of the work of a batch grows with its texts, and a description may have 100,000 characters. */
const BATCH_BYTES = 64_000

/**
 * Makes the words of up to so many documents that have none, fewer where texts are long, and returns the number; 0 when none is left.
 * Documents that somebody else is writing, or making the words of, are left out. A document is found with and without words, so it does not
 * matter when this happens, or whether again.
 */
export async function makeDocumentWords(tx: Tx, limit: number): Promise<number> {
  const row = await tx.row<{ made: number }>(sql`
    WITH candidate AS MATERIALIZED (
      SELECT * FROM product_search WHERE words IS NULL ORDER BY updated LIMIT ${limit} FOR NO KEY UPDATE SKIP LOCKED
    ), wordless AS MATERIALIZED (
      SELECT * FROM (
        SELECT *, sum(octet_length(text)) OVER (ORDER BY updated, product_id) - octet_length(text) AS bytes_before FROM candidate
      ) counted WHERE bytes_before < ${BATCH_BYTES}
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
/** Pauses, as multiples of the work before them. */
const PAUSE = 1
const PAUSE_DURING_IMPORTS = 4
const STOP_WAIT_MS = 3_000

/**
 * Makes the words of documents that were written without, as feeds do. Works half of the time, so that requests have the rest, and less while
 * an import runs: it would otherwise be what slows it most.
 */
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
    const worked = performance.now() - began
    const pause = made === 0 ? POLL_MS : worked * ((await isImporting()) ? PAUSE_DURING_IMPORTS : PAUSE)
    if (!isStopped) timer = setTimeout(begin, pause)
  }

  /** Taken for true when it cannot be known: then there is no hurry either. */
  async function isImporting(): Promise<boolean> {
    const row = await db
      .row<{ found: boolean }>(sql`SELECT EXISTS (SELECT FROM imports WHERE finished_at IS NULL) AS found`)
      .catch(() => undefined)
    return row?.found ?? true
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
