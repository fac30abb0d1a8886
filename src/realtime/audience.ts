import type { AudienceKey } from '../changes/index.ts'
import type { Caller } from '../platform/http/caller.ts'

/** What a caller listens under: `all` for staff, who hear everything, or the keys that changes are addressed to. */
export type Audience = 'all' | readonly AudienceKey[]

export function audienceOf(caller: Pick<Caller, 'userId' | 'isStaff'>): Audience {
  return caller.isStaff ? 'all' : ['public', `user:${caller.userId}`]
}

/** Whether a change addressed to `keys` is for this audience. */
export function isAddressedTo(audience: Audience, keys: readonly AudienceKey[]): boolean {
  return audience === 'all' || keys.some((key) => audience.includes(key))
}
