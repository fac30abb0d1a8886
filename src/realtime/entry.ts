import type { Change, LoggedChange } from '../changes/index.ts'

/** A change on its way to readers. Each form is serialised once, when first needed, and shared by all who get it. */
export interface Entry {
  readonly change: Change
  readonly position: number
  /** The frame of `/ws/changes/`. */
  readonly frame: Buffer
  /** The event of `/api/changes/stream/`. */
  readonly event: Buffer
  /** Rough size in memory. */
  readonly bytes: number
  /** What `visibility.ts` knows of it: whether a stranger may no longer see it, as of `checkedAt`. */
  isHiddenFromStrangers: boolean
  checkedAt: number
  check: Promise<void> | undefined
}

/** A change as the live contract shows it (section 1): without its key and audience. */
export interface PresentedChange {
  position: number
  epoch: string
  id: string
  topic: string
  subject: { type: string; id: string }
  data: unknown
  actor: string | null
  time: string
}

export function presentChange(change: Change, epoch: string): PresentedChange {
  const { position, id, topic, subject, data, actor, time } = change
  return { position, epoch, id, topic, subject: { type: subject.type, id: subject.id }, data, actor, time }
}

/** Objects, the array slot and the other members, which a change costs beside the text of its data. */
const ENTRY_OVERHEAD_BYTES = 1_500

export function createEntry(change: LoggedChange, epoch: string): Entry {
  const json = (): string => JSON.stringify(presentChange(change, epoch))
  let frame: Buffer | undefined
  let event: Buffer | undefined
  return {
    change,
    position: change.position,
    bytes: 3 * change.json.length + ENTRY_OVERHEAD_BYTES,
    isHiddenFromStrangers: false,
    checkedAt: Number.NEGATIVE_INFINITY,
    check: undefined,
    get frame() {
      frame ??= Buffer.from(`{"type":"change",${json().slice(1)}`)
      return frame
    },
    get event() {
      event ??= Buffer.from(`id: ${epoch}:${change.position}\nevent: ${change.topic}\ndata: ${json()}\n\n`)
      return event
    },
  }
}
