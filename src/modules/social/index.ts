import type { Module } from '../module.ts'
import { endFollowsOfUser, endFollowsSweep } from './departures.ts'
import { countProfileFollows, foldFollowCountsSweep } from './follow-counts.ts'
import { socialRoutes } from './routes.ts'
import { topics } from './topics.ts'

/** Counts the followers of a profile; for `extendProfiles` of identity. */
export { countProfileFollows }
/** Ends the follows of a deleted user; for `onUserDeleted` of identity. */
export { endFollowsOfUser }

/** Who follows whom, and the feed made of it. */
export const social: Module = {
  name: 'social',
  topics,
  routes: socialRoutes,
  sweeps: (context) => [endFollowsSweep(context), foldFollowCountsSweep(context)],
}
