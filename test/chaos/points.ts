import type { Role } from './engine-process.ts'

/** A named place in the code where the process kills itself, and the work that passes it. */
export interface FaultPoint {
  name: string
  work: 'uploads' | 'import' | 'store'
  /** The kill happens at a random pass from 1 to this. */
  passes: number
}

/** Every place named by `faultPoint` in src/; `points.unit.test.ts` fails when one is missing here. */
export const faultPoints: readonly FaultPoint[] = [
  { name: 'after-record', work: 'uploads', passes: 8 },
  { name: 'upload-before-commit', work: 'uploads', passes: 8 },
  { name: 'upload-after-commit', work: 'uploads', passes: 8 },
  { name: 'before-sequence-commit', work: 'uploads', passes: 10 },
  { name: 'after-sequence-commit', work: 'uploads', passes: 10 },
  { name: 'before-subscriber-commit', work: 'uploads', passes: 6 },
  { name: 'after-subscriber-commit', work: 'uploads', passes: 6 },
  { name: 'after-claim', work: 'uploads', passes: 3 },
  { name: 'after-render', work: 'uploads', passes: 3 },
  { name: 'before-send', work: 'uploads', passes: 12 },
  { name: 'after-send-before-mark', work: 'uploads', passes: 12 },
  { name: 'after-mark', work: 'uploads', passes: 3 },
  { name: 'push-before-send', work: 'uploads', passes: 8 },
  { name: 'push-after-send', work: 'uploads', passes: 8 },
  { name: 'import-after-claim', work: 'import', passes: 1 },
  { name: 'import-before-batch-commit', work: 'import', passes: 3 },
  { name: 'import-after-batch-commit', work: 'import', passes: 3 },
  { name: 'import-before-finish', work: 'import', passes: 1 },
  { name: 'search-before-words-commit', work: 'import', passes: 3 },
  { name: 'order-placed-before-commit', work: 'store', passes: 10 },
  { name: 'order-placed-after-commit', work: 'store', passes: 10 },
  { name: 'order-confirmed-before-commit', work: 'store', passes: 8 },
  { name: 'order-confirmed-after-commit', work: 'store', passes: 8 },
  { name: 'order-cancelled-before-commit', work: 'store', passes: 3 },
  { name: 'order-cancelled-after-commit', work: 'store', passes: 3 },
  { name: 'order-expired-before-commit', work: 'store', passes: 3 },
  { name: 'order-expired-after-commit', work: 'store', passes: 3 },
  { name: 'payment-after-claim', work: 'store', passes: 4 },
  { name: 'payment-before-attempt', work: 'store', passes: 4 },
  { name: 'payment-after-attempt', work: 'store', passes: 4 },
  { name: 'payment-before-mark-commit', work: 'store', passes: 4 },
  { name: 'payment-after-mark', work: 'store', passes: 4 },
  { name: 'payment-after-refund', work: 'store', passes: 2 },
  { name: 'stream-before-publish', work: 'store', passes: 5 },
  { name: 'stream-after-publish', work: 'store', passes: 5 },
  { name: 'stream-after-cursor', work: 'store', passes: 5 },
]

/** Those that only requests pass, and what serves them. */
const OF_REQUESTS = /^(after-record|push-.*|order-(placed|confirmed|cancelled)-.*)$/
/** Those of the consequences, which a process without requests has as well. */
const OF_BACKGROUND =
  /^((before|after)-subscriber-commit|after-(claim|render|send-before-mark|mark)|before-send|payment-.*|order-expired-.*|stream-.*)$/
const OF_BOTH = /^(before|after)-sequence-commit$/

/** The points that a process of this role passes while customers shop. */
export function pointsOf(role: Role): readonly FaultPoint[] {
  const passes = {
    serve: [OF_REQUESTS, OF_BACKGROUND, OF_BOTH],
    api: [OF_REQUESTS, OF_BOTH],
    worker: [OF_BACKGROUND, OF_BOTH],
  }
  return faultPoints.filter(({ name }) => passes[role].some((pattern) => pattern.test(name)))
}
