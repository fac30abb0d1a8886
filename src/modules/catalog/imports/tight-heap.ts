import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'

/**
 * How far a heap may outgrow what is alive before it is collected, in percent. What an import makes lives a little longer than young objects
 * do, so V8 takes it for old and, left alone, lets it pile up long after it is dead: the items of a hundred batches in the import thread, and
 * in the main thread the changes, of which the newest megabytes are kept for subscribers and sockets.
 */
const TIGHT_GROWTH = 20
/** V8's own judgement. */
const USUAL_GROWTH = 0
/** Percent of the room left after the last collection at which the next one begins to mark, in steps and beside the program. */
const AT_ONCE = 1
const USUAL_START = 0

/**
 * Keeps the heaps of all threads of this process tight until the returned function is called. How far a heap may grow is decided when it is
 * collected; a thread that makes little garbage would come to that long after an import has begun, so the heap of the calling thread is
 * collected now, which stops it for no longer than any collection does.
 */
export function holdHeapsTight(): () => void {
  setFlag('heap-growing-percent', TIGHT_GROWTH)
  setFlag('incremental-marking-hard-trigger', AT_ONCE)
  const begun = (): void => {
    observer.disconnect()
    setFlag('incremental-marking-hard-trigger', USUAL_START)
  }
  const observer = new PerformanceObserver((list) => {
    if (list.getEntries().some(isOfOldObjects)) begun()
  })
  observer.observe({ entryTypes: ['gc'] })
  return () => {
    begun()
    setFlag('heap-growing-percent', USUAL_GROWTH)
  }
}

interface Collection extends PerformanceEntry {
  readonly detail: { readonly kind: number }
}

function isOfOldObjects(entry: PerformanceEntry): boolean {
  return (entry as Collection).detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR
}

/** For all threads: V8 reads these whenever it decides. */
function setFlag(name: string, value: number): void {
  setFlagsFromString(`--${name}=${value}`)
}
