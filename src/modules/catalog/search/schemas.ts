import { Type } from 'typebox'

/** Longer than any title; a description that is longer is found by a part of it. */
const MAX_TERM = 1_000

/** A text to search for; empty does not filter. */
export function searchTermSchema(description: string) {
  return Type.Optional(Type.String({ maxLength: MAX_TERM, description: `${description} Empty does not filter.` }))
}
