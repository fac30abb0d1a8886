import { setMaxListeners } from 'node:events'

import type { Clock } from '../platform/clock.ts'
import { faultPoint } from '../platform/fault.ts'
import { decide, giveUp, messageOf, runAttempt, tooLate } from './attempt.ts'
import { giveBack, storeContents } from './claim-queries.ts'
import type { Connection } from './connection.ts'
import { UndeliverableError, type Delivery } from './kind.ts'
import { isPaused, noteOutcome, type Lane, type Lanes } from './lanes.ts'
import type { Result } from './result-queries.ts'
import { within } from './wait.ts'

interface HandsOptions {
  connection: Connection
  clock: Clock
  lanes: Lanes
  addResult: (result: Result) => void
  /** False while the lease may have run out: others may be at work on the same. */
  mayStart: () => boolean
  /** A slot became free. */
  onRoom(lane: Lane): void
  onTrouble: (error: unknown) => void
}

/** What a worker has claimed: rendered, kept until a slot of its destination is free, attempted, until its result is stored. */
export interface Hands {
  /** Ids of everything claimed and not yet stored or given back. */
  held: () => string[]
  count: () => number
  /** Starts what could not be started before. */
  resume: () => void
  take(claimed: readonly Delivery[]): Promise<void>
  letGo(delivery: Delivery): void
  /** Drops everything, because others have taken it over. */
  abandon: () => void
  /** Starts nothing more; waits for running attempts, then ends them. */
  stop(waitMs: number, abortMs: number): Promise<void>
}

export function createHands(options: HandsOptions): Hands {
  const { connection, clock, lanes, addResult } = options
  /** Id to lease: an older result of the same delivery must not let go of a newer claim. */
  const held = new Map<string, number>()
  const attempts = new Set<Promise<void>>()
  let stopping = newStop()
  let isStopped = false

  function letGo(delivery: Delivery): void {
    if (held.get(delivery.id) === delivery.lease) held.delete(delivery.id)
  }

  async function take(claimed: readonly Delivery[]): Promise<void> {
    const signal = stopping.signal
    for (const delivery of claimed) held.set(delivery.id, delivery.lease)
    try {
      const ready = await rendered(claimed)
      if (signal.aborted) return
      for (const delivery of ready) laneFor(delivery).buffer.push(delivery)
      for (const lane of new Set(ready.map(laneFor))) fill(lane)
    } catch (error) {
      for (const delivery of claimed) letGo(delivery)
      throw error
    }
  }

  /** Renders what has not been rendered before and stores that ahead of any attempt: every attempt sends the same bytes. */
  async function rendered(claimed: readonly Delivery[]): Promise<Delivery[]> {
    const fresh: { delivery: Delivery; content: unknown }[] = []
    for (const delivery of claimed.filter((delivery) => !isReady(delivery))) {
      const content = await render(delivery)
      if (content !== undefined) fresh.push({ delivery, content })
    }
    if (fresh.length === 0) return claimed.filter(isReady)
    const stored = await storeContents(connection.rows, fresh)
    faultPoint('after-render')
    const contents = new Map(fresh.map(({ delivery, content }) => [delivery.id, content]))
    return claimed
      .filter((delivery) => isReady(delivery) || stored.has(delivery.id))
      .map((delivery) => (isReady(delivery) ? delivery : { ...delivery, content: contents.get(delivery.id) }))
  }

  function isReady(delivery: Delivery): boolean {
    return delivery.content !== null || laneFor(delivery).kind.render === undefined
  }

  async function render(delivery: Delivery): Promise<unknown> {
    const { kind } = laneFor(delivery)
    const startedAt = new Date()
    try {
      return await kind.render?.(delivery)
    } catch (error) {
      if (error instanceof UndeliverableError) {
        addResult(giveUp(kind, delivery, error.message, clock.now()))
        return undefined
      }
      const outcome = { result: 'retry', error: `could not be rendered: ${messageOf(error)}` } as const
      addResult(decide(kind, delivery, outcome, { startedAt, durationMs: 0, now: clock.now() }))
      return undefined
    }
  }

  /** The lane of claimed work: it exists, because a lane asked for it. */
  function laneFor(delivery: Delivery): Lane {
    return lanes.laneOf(delivery)!
  }

  function fill(lane: Lane): void {
    while (hasFreeSlot(lane) && lane.buffer.length > 0) {
      const delivery = lane.buffer.shift()!
      const late = tooLate(lane.kind, delivery, clock.now())
      if (late !== undefined) {
        addResult(giveUp(lane.kind, delivery, late, clock.now()))
        continue
      }
      const attempt = attemptOne(lane, delivery).finally(() => attempts.delete(attempt))
      attempts.add(attempt)
    }
  }

  function hasFreeSlot(lane: Lane): boolean {
    return !isStopped && options.mayStart() && lane.running < lane.window && lane.isEnabled && !isPaused(lane)
  }

  async function attemptOne(lane: Lane, delivery: Delivery): Promise<void> {
    lane.running++
    const startedAt = new Date()
    const began = performance.now()
    faultPoint('before-send')
    const run = await runAttempt(lane.kind, delivery, stopping.signal)
    lane.running--
    if (run === undefined) {
      letGo(delivery)
      return
    }
    faultPoint('after-send-before-mark')
    noteOutcome(lane, run.outcome, run.isTimeout)
    const durationMs = performance.now() - began
    addResult(decide(lane.kind, delivery, run.outcome, { startedAt, durationMs, now: clock.now() }))
    if (isPaused(lane) || !lane.isEnabled) returnBuffer(lane)
    fill(lane)
    options.onRoom(lane)
  }

  /** A paused or disabled destination keeps nothing claimed. */
  function returnBuffer(lane: Lane): void {
    const returned = lane.buffer
    lane.buffer = []
    if (returned.length === 0) return
    for (const delivery of returned) letGo(delivery)
    giveBack(connection.rows, returned).catch(options.onTrouble)
  }

  return {
    held: () => [...held.keys()],
    count: () => held.size,
    resume: () => {
      for (const lane of lanes.all()) fill(lane)
    },
    take,
    letGo,
    abandon: () => {
      stopping.abort()
      stopping = newStop()
      held.clear()
      for (const lane of lanes.all()) lane.buffer = []
    },
    stop: async (waitMs, abortMs) => {
      isStopped = true
      await within(waitMs, Promise.all(attempts))
      stopping.abort()
      await within(abortMs, Promise.all(attempts))
    },
  }
}

function newStop(): AbortController {
  const stop = new AbortController()
  // One listener per running attempt.
  setMaxListeners(0, stop.signal)
  return stop
}
