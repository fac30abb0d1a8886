import { setImmediate } from 'node:timers/promises'
import type { Writable } from 'node:stream'

/**
 * Resolves when everything written so far has left for the network, or the stream has ended. Never in the same turn of the event loop: a
 * stream that was destroyed says so by an event that has yet to come, and a caller that asks in a loop would keep it from coming.
 */
export async function whenDrained(stream: Writable): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return setImmediate()
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      stream.off('drain', settle)
      stream.off('close', settle)
      resolve()
    }
    stream.on('drain', settle)
    stream.on('close', settle)
  })
}
