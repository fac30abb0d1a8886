import type { Queryable } from '../../platform/db/db.ts'
import type { Module } from '../module.ts'
import { failureCleanUp, tokenCleanUp } from './clean-up.ts'
import { identityRoutes } from './routes.ts'
import { topics } from './topics.ts'
import { listUsers, type User } from './users-queries.ts'

export { createAuthenticate } from './authenticate.ts'
export { adminFaults, ensureFirstSuperuser, ensureOauthClient, type FirstSuperuser } from './first-start.ts'
export { createUserAsOperator, setPasswordAsOperator, type NewUser } from './operator.ts'
export { extendProfiles, type CountProfile, type ProfileCounts } from './profile-counts.ts'
export { rightsEnded, type EndedRights } from './topics.ts'
export { onUserDeleted, type DeletedUser, type UserDeletedHandler } from './user-deletion.ts'
export { listAdminRecipients, type AdminRecipient, type User } from './users-queries.ts'

/** Users, their sign-ins and every kind of credential. */
export const identity: Module = {
  name: 'identity',
  topics,
  routes: identityRoutes,
  sweeps: (context) => [tokenCleanUp(context), failureCleanUp(context)],
}

/** The users with these ids that are not deleted, by id. */
export async function usersByIds(db: Queryable, ids: readonly string[]): Promise<Map<string, User>> {
  const users = ids.length === 0 ? [] : await listUsers(db, ids)
  return new Map(users.map((user) => [user.id, user]))
}
