import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/db/db.ts'
import { faultPoint } from '../platform/fault.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import { claim, claimStrict, findWaiting, giveBackUnknown, lockStrict, type ClaimRequest } from './claim-queries.ts'
import { openConnection } from './connection.ts'
import { createHands } from './hands.ts'
import type { Delivery, DeliveryKind } from './kind.ts'
import { createLanes, noteClaimed, roomOf, type Lane } from './lanes.ts'
import type { Result } from './result-queries.ts'
import { createResultStore } from './results.ts'
import { within } from './wait.ts'
import { onWake } from './wake.ts'
import { createWorkerLease } from './worker-lease.ts'

/** Safety net for work committed by other processes and for times that come; hints make everything else faster. */
const POLL_MS = 250
/** A poll that takes long (dead rows that an old transaction keeps) comes this many times its own cost later. */
const POLL_COST_RATIO = 10
/** Claimed work of one process; bounds memory. */
const MAX_IN_HAND = 1_000
/** Together under the five seconds a process has for its end. */
const STOP_MS = { attempts: 2_000, abort: 300, results: 800, lease: 500, connection: 300 }

export interface WorkerOptions {
  db: Db
  clock: Clock
  log: Logger
  kinds: readonly DeliveryKind[]
  leaseMs?: number
}

interface Ask {
  lane: Lane
  request: ClaimRequest
}

/** Claims due deliveries and attempts them, for as long as the process lives; any number may work on one database. */
export function createWorker(options: WorkerOptions): Service {
  const { clock, log, kinds } = options
  const connection = openConnection(options.db, 'souk delivery')
  const lanes = createLanes(kinds)
  const kindNames = kinds.map((kind) => kind.name)
  const results = createResultStore({ connection, clock, log, onStored, onFlushed: pump })
  const hands = createHands({
    connection,
    clock,
    lanes,
    addResult: results.add,
    mayStart: () => lease.worker !== undefined,
    onRoom,
    onTrouble: noteTrouble,
  })
  const lease = createWorkerLease({ ...options, onLost: hands.abandon, onTakenOver: pump })
  let isPumping = false
  let pumping: Promise<void> | undefined
  let pollTimer: NodeJS.Timeout | undefined
  let polling: Promise<void> | undefined
  let unsubscribe: (() => void) | undefined
  let isTroubled = false
  let isStopped = false

  async function poll(): Promise<void> {
    const began = performance.now()
    try {
      lanes.update(await findWaiting(connection.rows, kindNames, clock.now()))
      hands.resume()
      pump()
    } catch (error) {
      noteTrouble(error)
    }
    const cost = performance.now() - began
    if (!isStopped) pollTimer = setTimeout(startPoll, Math.max(POLL_MS, cost * POLL_COST_RATIO))
  }

  function startPoll(): void {
    polling = poll()
  }

  function noteTrouble(error: unknown): void {
    if (!isTroubled) log.error({ err: error }, 'delivery worker cannot claim, it will go on trying')
    isTroubled = true
  }

  /** Claims until no lane has both work and room. */
  function pump(): void {
    if (!isPumping) pumping = claimAll()
  }

  async function claimAll(): Promise<void> {
    isPumping = true
    try {
      if (isTroubled) await recover()
      // No await between the last look and the end: a hint that comes later starts again.
      for (let asks = listAsks(); asks.length > 0; asks = listAsks()) await claimRound(asks)
    } catch (error) {
      noteTrouble(error)
    } finally {
      isPumping = false
    }
  }

  /** Only where nothing is being claimed: what a claim is about to bring would look unknown. */
  async function recover(): Promise<void> {
    if (lease.worker === undefined) return
    await giveBackUnknown(connection.rows, lease.worker, hands.held())
    isTroubled = false
    log.info('delivery worker reaches its work again')
  }

  async function claimRound(asks: readonly Ask[]): Promise<void> {
    const plain = asks.filter(({ lane }) => !lane.isStrict)
    const worker = lease.worker
    if (worker === undefined) return
    const claimed = plain.length === 0 ? [] : await claimPlain(worker, plain)
    for (const { lane, request } of asks) {
      if (lane.isStrict) claimed.push(...(await claimInOrder(worker, lane, request)))
    }
    faultPoint('after-claim')
    if (lease.isCurrent(worker)) await hands.take(claimed)
  }

  async function claimPlain(worker: string, asks: readonly Ask[]): Promise<Delivery[]> {
    const requests = asks.map(({ request }) => request)
    const claimed = await claim(connection.rows, worker, requests, clock.now())
    for (const { lane, request } of asks) {
      const own = claimed.filter(
        (delivery) => delivery.kind === request.kind && delivery.destination === request.destination,
      )
      noteClaimed(lane, own, request.limit)
    }
    return claimed
  }

  async function claimInOrder(worker: string, lane: Lane, request: ClaimRequest): Promise<Delivery[]> {
    const { claimed, held } = await connection.transaction(async (rows) => {
      if (!(await lockStrict(rows, request, clock.now()))) return { claimed: [], held: 0 }
      return claimStrict(rows, worker, request, clock.now())
    })
    lane.mayHaveMore = claimed.length === request.limit || held > 0
    return claimed
  }

  function listAsks(): Ask[] {
    if (isStopped || lease.worker === undefined) return []
    const open = [...lanes.all()].filter((lane) => roomOf(lane) > 0)
    if (open.length === 0) return []
    let left = MAX_IN_HAND - hands.count()
    const asks: Ask[] = []
    // Those with the least in hand first, so that many busy destinations cannot use up what a quiet one needs.
    for (const lane of open.toSorted((a, b) => inHand(a) - inHand(b))) {
      // One with nothing in hand gets its turn even when others that hang have filled the hands.
      const limit = Math.min(roomOf(lane), Math.max(left, inHand(lane) === 0 ? 1 : 0))
      if (limit <= 0) break
      left -= limit
      asks.push({ lane, request: { kind: lane.kind.name, destination: lane.destination, limit, after: lane.after } })
    }
    return asks
  }

  function onRoom(lane: Lane): void {
    if (roomOf(lane) > 0) pump()
  }

  function onStored(result: Result, isAccepted: boolean): void {
    const { delivery } = result
    hands.letGo(delivery)
    if (!isAccepted) {
      log.warn({ delivery: delivery.id, result: result.result }, 'late delivery result refused, others have taken over')
      return
    }
    const lane = lanes.laneOf(delivery)
    if (result.result === 'failed') lane?.kind.onGivenUp?.(delivery, result.error ?? '')
    // The next one of its key may be free now.
    if (lane !== undefined && delivery.orderKey !== null) lane.mayHaveMore = true
  }

  return {
    name: 'delivery.worker',
    start: async () => {
      unsubscribe = onWake((targets) => {
        for (const target of targets) {
          const lane = lanes.laneOf(target)
          if (lane !== undefined) lane.mayHaveMore = true
        }
        pump()
      })
      await lease.start()
      startPoll()
    },
    stop: async () => {
      if (isStopped) return
      isStopped = true
      unsubscribe?.()
      clearTimeout(pollTimer)
      await within(STOP_MS.attempts, Promise.all([polling, pumping]))
      await hands.stop(STOP_MS.attempts, STOP_MS.abort)
      await results.close(STOP_MS.results)
      await within(STOP_MS.lease, lease.stop())
      await within(STOP_MS.connection, connection.close())
    },
  }
}

function inHand(lane: Lane): number {
  return lane.running + lane.buffer.length
}
