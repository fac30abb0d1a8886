import { toTimestamp } from '../platform/clock.ts'
import type { Place, WaitingDestination } from './claim-queries.ts'
import type { Delivery, DeliveryKind, Outcome } from './kind.ts'
import { targetKey, type Target } from './wake.ts'

/** What a worker knows about one destination. Slots belong to a lane, so a destination that hangs costs nobody else's. */
export interface Lane {
  readonly kind: DeliveryKind
  readonly destination: string
  slots: number
  /** Attempts allowed at once just now: 1 after trouble, one more with every success. */
  window: number
  running: number
  /** Claimed, rendered, waiting for a slot. */
  buffer: Delivery[]
  mayHaveMore: boolean
  isStrict: boolean
  isEnabled: boolean
  /** By `performance.now()`. */
  pausedUntil: number
  after: Place | undefined
}

/** Transactions open at the same time commit in any order: a claim looks this far back behind the newest it has seen. */
const OVERLAP_MS = 500
/** Older than this, deliveries are a backlog and nothing commits between them any more. */
const BACKLOG_MS = 5_000

export type Lanes = ReturnType<typeof createLanes>

export function createLanes(kinds: readonly DeliveryKind[]) {
  const byName = new Map(kinds.map((kind) => [kind.name, kind]))
  const lanes = new Map<string, Lane>()

  /** The lane of a target; undefined for kinds this worker does not have. */
  function laneOf(target: Target): Lane | undefined {
    const kind = byName.get(target.kind)
    const known = lanes.get(targetKey(target))
    if (known !== undefined || kind === undefined) return known
    const lane = newLane(kind, target.destination)
    lanes.set(targetKey(target), lane)
    return lane
  }

  /** Takes over what the database says, and forgets lanes that have nothing to do. */
  function update(waiting: readonly WaitingDestination[]): void {
    const busy = new Set(waiting.map(targetKey))
    for (const [key, lane] of lanes) {
      if (!busy.has(key) && lane.running === 0 && lane.buffer.length === 0 && !lane.mayHaveMore) lanes.delete(key)
    }
    for (const found of waiting) {
      const lane = laneOf(found)
      if (lane !== undefined) updateLane(lane, found)
    }
  }

  return {
    laneOf,
    update,
    all: () => lanes.values(),
  }
}

function newLane(kind: DeliveryKind, destination: string): Lane {
  return {
    kind,
    destination,
    slots: kind.slots,
    window: kind.slots,
    running: 0,
    buffer: [],
    mayHaveMore: false,
    isStrict: false,
    isEnabled: true,
    pausedUntil: 0,
    after: undefined,
  }
}

function updateLane(lane: Lane, found: WaitingDestination): void {
  const slots = found.slots ?? lane.kind.slots
  if (slots !== lane.slots) lane.window = Math.min(slots, lane.window === lane.slots ? slots : lane.window)
  lane.slots = slots
  lane.isStrict = found.isStrict
  lane.isEnabled = found.isEnabled
  lane.pausedUntil = performance.now() + found.pausedMs
  lane.mayHaveMore = found.isEnabled && (lane.mayHaveMore || found.dueInMs <= 0)
  if (lane.after !== undefined && isAtOrBefore(found, lane.after)) lane.after = undefined
}

function isAtOrBefore(a: Place, b: Place): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.seq <= b.seq)
}

export function isPaused(lane: Lane): boolean {
  return lane.pausedUntil > performance.now()
}

/** How many deliveries to claim now: twice the window, so that slots do not idle during a claim, and not in single ones. */
export function roomOf(lane: Lane): number {
  if (!lane.mayHaveMore || !lane.isEnabled || isPaused(lane)) return 0
  const ahead = lane.window === 1 ? 1 : lane.window * 2
  const room = ahead - lane.running - lane.buffer.length
  return room >= Math.max(1, lane.window >> 1) ? room : 0
}

/** Remembers how far the lane is done, so that the next claim does not step over everything finished since the last vacuum. */
export function noteClaimed(lane: Lane, claimed: readonly Delivery[], asked: number): void {
  lane.mayHaveMore = claimed.length === asked
  const last = claimed.at(-1)
  if (last === undefined) return
  const due = Date.parse(last.dueAt)
  lane.after =
    due < Date.now() - BACKLOG_MS
      ? { dueAt: last.dueAt, seq: last.seq }
      : { dueAt: toTimestamp(new Date(due - OVERLAP_MS)), seq: 0 }
}

/** Fewer attempts at once for a destination in trouble, more again with every success. */
export function noteOutcome(lane: Lane, outcome: Outcome, isTimeout: boolean): void {
  if (outcome.result === 'succeeded') lane.window = Math.min(lane.slots, lane.window + 1)
  if (outcome.result === 'parked') lane.isEnabled = false
  if (isTimeout) lane.window = 1
  if (outcome.result !== 'retry' || outcome.pauseMs === undefined) return
  lane.window = 1
  lane.pausedUntil = Math.max(lane.pausedUntil, performance.now() + outcome.pauseMs)
}
