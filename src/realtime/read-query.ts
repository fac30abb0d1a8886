import { InvalidError, type FieldErrors } from '../platform/errors.ts'
import { isTopicPattern } from './topic-patterns.ts'

/** Where a reader left off. */
export interface Bookmark {
  since: number
  epoch: string
}

export interface LogQuery {
  from: Bookmark | undefined
  patterns: readonly string[]
}

const MAX_PATTERNS = 50

/** `since`, `epoch` and `topics` of the live contract, section 2. */
export function readLogQuery(
  query: { since?: number; epoch?: string; topics?: string },
  lastEventId?: string,
): LogQuery {
  const errors: FieldErrors = {}
  const patterns = readPatterns(query.topics, errors)
  const from = lastEventId === undefined ? readBookmark(query, errors) : readEventId(lastEventId, errors)
  if (Object.keys(errors).length > 0) throw InvalidError.fields(errors)
  return { from, patterns }
}

function readBookmark({ since, epoch }: { since?: number; epoch?: string }, errors: FieldErrors): Bookmark | undefined {
  if (since === undefined) return undefined
  if (epoch !== undefined && epoch !== '') return { since, epoch }
  errors['epoch'] = ['This field is required with since.']
  return undefined
}

/** `<epoch>:<position>`, the id of an event. */
function readEventId(id: string, errors: FieldErrors): Bookmark | undefined {
  const [, epoch, digits] = /^([^:]+):(\d{1,16})$/.exec(id) ?? []
  const since = Number(digits)
  if (epoch !== undefined && Number.isSafeInteger(since)) return { since, epoch }
  errors['last-event-id'] = ['Must be the id of an event of this stream.']
  return undefined
}

function readPatterns(topics: string | undefined, errors: FieldErrors): readonly string[] {
  if (topics === undefined || topics === '') return ['*']
  const patterns = [...new Set(topics.split(',').map((topic) => topic.trim()))]
  if (patterns.every(isTopicPattern) && patterns.length <= MAX_PATTERNS) return patterns
  errors['topics'] = [`Must be at most ${MAX_PATTERNS} topic names, or beginnings with a final *, separated by commas.`]
  return []
}
