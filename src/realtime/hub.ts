import type { Writable } from 'node:stream'

import type { ChangeLog, Topic } from '../changes/index.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/db/db.ts'
import { faultPoint } from '../platform/fault.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import { createSlots } from '../platform/slots.ts'
import type { ChangesSocket } from './changes-socket.ts'
import type { ChangesStream } from './changes-stream.ts'
import { closeCodes } from './close-codes.ts'
import type { Entry } from './entry.ts'
import { Heartbeat } from './heartbeat.ts'
import { createHistory, type History } from './history.ts'
import type { Limits } from './limits.ts'
import { Listeners } from './listeners.ts'
import { Quota } from './quota.ts'
import { RecentChanges } from './recent-changes.ts'
import { createReplay, type Replay } from './replay.ts'
import { Rights, type RightsEnded } from './rights.ts'
import { createTail, type Tail } from './tail.ts'
import { createVisibility, type Visible } from './visibility.ts'

export interface HubOptions {
  db: Db
  changeLog: Pick<ChangeLog, 'head' | 'read' | 'follow' | 'reached' | 'onAdvance'>
  topics: readonly Topic[]
  rightsEnded: RightsEnded
  clock: Clock
  log: Logger
  limits: Limits
}

/** Database reads of all replays together at one time. */
const REPLAY_READS = 4
const CLOSE_WAIT_MS = 2_000

/** What the sockets, event streams and waiting reads of one process share: the tail of the log, who listens, and their rights. */
export class Hub {
  readonly limits: Limits
  readonly log: Logger
  readonly recent: RecentChanges
  readonly listeners = new Listeners()
  readonly rights = new Rights()
  readonly tail: Tail
  readonly history: History
  readonly replay: Replay
  readonly visible: Visible
  readonly socketHeartbeat: Heartbeat
  readonly streamHeartbeat: Heartbeat
  /** Until their connection has ended, so that a shutdown finds those that are closing, too. */
  readonly sockets = new Set<ChangesSocket>()
  /** What must be told of a reset or a shutdown besides the sockets. */
  readonly followers = new Set<Follower>()
  readonly socketQuota: Quota
  readonly streamQuota: Quota
  readonly now: () => number
  isStopping = false
  #corked: Writable[] = []
  #isBatch = false

  constructor(options: HubOptions) {
    const { db, changeLog, limits, log, clock } = options
    const slots = createSlots(REPLAY_READS)
    this.limits = limits
    this.log = log
    this.now = () => clock.now().getTime()
    this.socketQuota = new Quota(limits.socketsPerUser)
    this.streamQuota = new Quota(limits.streamsPerUser)
    this.recent = new RecentChanges(limits)
    this.tail = createTail({
      changeLog,
      log,
      recent: this.recent,
      onBatch: (entries) => this.#beginBatch(entries, options.rightsEnded),
      onEntry: (entry) => this.#handOut(entry),
      onBatchEnd: () => this.#endBatch(),
      onReset: () => this.#reset(),
    })
    this.visible = createVisibility({ db, topics: options.topics, slots })
    this.history = createHistory({ db, changeLog, recent: this.recent, epoch: () => this.tail.epoch, slots })
    const { history, recent, tail, visible } = this
    this.replay = createReplay({ history, recent, tail, visible, replayBufferBytes: limits.replayBufferBytes })
    const { now } = this
    this.socketHeartbeat = new Heartbeat({ name: 'realtime.ping', everyMs: limits.pingEveryMs, now })
    this.streamHeartbeat = new Heartbeat({ name: 'realtime.heartbeat', everyMs: limits.heartbeatEveryMs, now })
  }

  services(): Service[] {
    const closing: Service = { name: 'realtime.sockets', start: async () => undefined, stop: () => this.close() }
    return [this.tail.service, this.socketHeartbeat.service, this.streamHeartbeat.service, closing]
  }

  /** Whether everything after `since` can still be sent; waits for this process to get there where another one is ahead. */
  async canResume(since: number, epoch: string): Promise<boolean> {
    if (epoch !== this.tail.epoch) return false
    if (since + 1 < this.tail.oldest && since < this.recent.start) return false
    return (await this.tail.reach(since)) && epoch === this.tail.epoch
  }

  /** Registers the socket, or closes it when its rights ended since its credential was looked at. */
  addSocket(socket: ChangesSocket, checkedSince: number): void {
    this.sockets.add(socket)
    if (!this.rights.add(socket, checkedSince)) return socket.endRights()
    this.socketHeartbeat.add(socket)
    if (this.isStopping) socket.close(closeCodes.goingAway, 'shutting down, reconnect')
  }

  /** Takes it out of everything that would speak to it. */
  removeSocket(socket: ChangesSocket): void {
    this.rights.remove(socket)
    this.socketHeartbeat.remove(socket)
  }

  /** False when the stream's rights ended since its credential was looked at. */
  addStream(stream: ChangesStream, checkedSince: number): boolean {
    if (this.isStopping || !this.rights.add(stream, checkedSince)) return false
    this.followers.add(stream)
    this.streamHeartbeat.add(stream)
    return true
  }

  removeStream(stream: ChangesStream): void {
    this.rights.remove(stream)
    this.followers.delete(stream)
    this.streamHeartbeat.remove(stream)
  }

  /** During a batch of several changes the frames of one socket leave in one write. */
  cork(stream: Writable): void {
    if (!this.#isBatch || stream.writableCorked > 0) return
    stream.cork()
    this.#corked.push(stream)
  }

  /** Sends everybody away so that they come back elsewhere. Safe to call twice. */
  async close(): Promise<void> {
    this.isStopping = true
    for (const follower of this.followers) follower.end()
    const sockets = [...this.sockets]
    await Promise.all(
      sockets.map((socket) => socket.closeWithin(CLOSE_WAIT_MS, closeCodes.goingAway, 'shutting down, reconnect')),
    )
  }

  /** Rights first: what ended anywhere in this batch ends before the first change of it is sent. */
  #beginBatch(entries: readonly Entry[], rightsEnded: RightsEnded): void {
    for (const { change } of entries) {
      const ended = rightsEnded(change)
      if (ended !== undefined) this.rights.apply(ended)
    }
    this.#isBatch = entries.length > 1
  }

  #handOut(entry: Entry): number {
    faultPoint('push-before-send')
    const sent = this.listeners.dispatch(entry)
    faultPoint('push-after-send')
    return sent
  }

  #endBatch(): void {
    const corked = this.#corked
    this.#corked = []
    for (const stream of corked) stream.uncork()
  }

  #reset(): void {
    for (const socket of this.sockets) socket.loseTrack()
    for (const follower of this.followers) follower.loseTrack()
  }
}

/** An event stream or a waiting read. */
export interface Follower {
  loseTrack(): void
  end(): void
}
