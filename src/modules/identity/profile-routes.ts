import { Type } from 'typebox'

import type { App } from '../../platform/http/app.ts'
import type { Caller } from '../../platform/http/caller.ts'
import type { Queryable } from '../../platform/db/db.ts'
import { NotFoundError } from '../../platform/errors.ts'
import { isUuid } from '../../platform/ids.ts'
import { uuidParam } from '../../platform/http/schemas.ts'
import { emailFault, nameFault, passwordFault, refuseFaults, usernameFault } from './account-rules.ts'
import { changePassword, deleteAccount, NO_USER, updateAccount, wrongOldPassword } from './accounts.ts'
import { passwordHashing } from './passwords.ts'
import { requireSelf, requireSelfOrStaff } from './policy.ts'
import { presentOwnProfile, presentPublicProfile, presentUser, presentUserTo } from './presenters.ts'
import { countProfile } from './profile-counts.ts'
import {
  messageSchema,
  ownProfileSchema,
  profileSchema,
  updatedUserSchema,
  updatePasswordBody,
  updateUserBody,
  userIdParam,
  userSchema,
} from './schemas.ts'
import { findAccount, findUser, type User, type UserPatch } from './users-queries.ts'

const tags = ['Users']

/** Profiles, the password, and the older `/api/user/{user_id}/`. */
export function profileRoutes(app: App): void {
  app.get(
    '/api/users/me/',
    { schema: { tags, operationId: 'getMe', summary: 'The own profile', response: { 200: ownProfileSchema } } },
    async (request) => presentOwnProfile(await getUser(app.db, request.caller.userId)),
  )

  app.get(
    '/api/users/:id/',
    {
      config: { postman: { path: { id: '{{userId}}' } } },
      schema: {
        tags,
        operationId: 'getUser',
        summary: 'A profile: the own one in full, another in public',
        params: uuidParam,
        response: { 200: profileSchema },
      },
    },
    async ({ caller, params }) => {
      const user = await getUser(app.db, params.id)
      if (user.id === caller.userId) return presentOwnProfile(user)
      return presentPublicProfile(user, await countProfile(app.db, caller, user.id))
    },
  )

  passwordRoute(app)
  userRecordRoute(app)
  changeUserRoutes(app)
}

function passwordRoute(app: App): void {
  app.post(
    '/api/users/:id/update-password/',
    {
      // Whose password it is comes before what is in the body: 404, 403, then 400.
      attachValidation: true,
      config: {
        postman: {
          order: 15,
          credential: 'firstToken',
          path: { id: '{{userId}}' },
          body: { old_password: '{{password}}', new_password: '{{password}}' },
        },
      },
      schema: {
        tags,
        operationId: 'updatePassword',
        summary: 'Set a new password; every other sign-in ends',
        params: uuidParam,
        body: updatePasswordBody,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { caller } = request
      const account = isUuid(request.params.id) ? await findAccount(app.db, request.params.id) : undefined
      if (account === undefined) throw new NotFoundError()
      requireSelf(caller, account.id)
      if (request.validationError) throw request.validationError
      const { old_password: oldPassword, new_password: newPassword } = request.body
      refuseFaults({ new_password: passwordFault(newPassword, app.config.identity.passwordMinLength) })
      if (!(await passwordHashing.isRight(account.passwordHash, oldPassword))) throw wrongOldPassword()

      const passwordHash = await passwordHashing.hash(newPassword)
      const change = { checked: account, userId: account.id, passwordHash, keptSignInId: caller.signInId }
      await app.db.transaction((tx) => changePassword(tx, change))
      return reply.code(204).send(null)
    },
  )
}

function userRecordRoute(app: App): void {
  app.get(
    '/api/user/:user_id/',
    {
      config: { notFound: NO_USER, postman: { path: { user_id: '{{userId}}' } } },
      schema: {
        tags,
        operationId: 'getUserRecord',
        summary: 'A user (older shape)',
        params: userIdParam,
        response: { 200: userSchema },
      },
    },
    async (request) => ({
      user: presentUserTo(request.caller, await getUser(app.db, request.params.user_id, NO_USER)),
    }),
  )
}

function changeUserRoutes(app: App): void {
  app.put(
    '/api/user/:user_id/',
    {
      config: { notFound: NO_USER, postman: { path: { user_id: '{{userId}}' }, body: { first_name: 'Ada' } } },
      attachValidation: true,
      schema: {
        tags,
        operationId: 'updateUser',
        summary: 'Change names and e-mail: of oneself, or as staff',
        params: userIdParam,
        body: updateUserBody,
        response: { 200: updatedUserSchema },
      },
    },
    async (request) => {
      const id = requireUserId(request.params.user_id)
      if (request.validationError) {
        await refuseOthers(app.db, request.caller, id)
        throw request.validationError
      }
      const { email, username, first_name: firstName, last_name: lastName } = request.body
      const patch = definedMembers({ email, username, firstName, lastName })
      const user = await app.db.transaction((tx) => updateAccount(tx, request.caller, id, patch, checkPatch))
      return { message: 'User updated successfully', user: presentUser(user) }
    },
  )

  app.delete(
    '/api/user/:user_id/',
    {
      config: { notFound: NO_USER, postman: { order: 990, credential: 'lastToken', path: { user_id: '{{userId}}' } } },
      schema: {
        tags,
        operationId: 'deleteUser',
        summary: 'Delete a user: oneself, or as staff',
        params: userIdParam,
        response: { 200: messageSchema },
      },
    },
    async (request) => {
      const id = requireUserId(request.params.user_id)
      await app.db.transaction((tx) => deleteAccount(tx, request.caller, id, app.clock.now()))
      return { message: 'User deleted successfully' }
    },
  )
}

function requireUserId(text: string): string {
  if (!isUuid(text)) throw new NotFoundError(NO_USER)
  return text.toLowerCase()
}

/** Existence and ownership speak before the body does. */
async function refuseOthers(db: Queryable, caller: Caller, id: string): Promise<void> {
  const user = await getUser(db, id, NO_USER)
  requireSelfOrStaff(caller, user.id)
}

async function getUser(db: Queryable, id: string, missing?: string): Promise<User> {
  const user = isUuid(id) ? await findUser(db, id) : undefined
  if (user === undefined) throw new NotFoundError(missing)
  return user
}

function checkPatch({ username, email, firstName, lastName }: UserPatch): void {
  refuseFaults({
    username: username === undefined ? undefined : usernameFault(username),
    email: typeof email === 'string' ? emailFault(email) : undefined,
    first_name: nameFault(firstName ?? '', 150),
    last_name: nameFault(lastName ?? '', 150),
  })
}

/** Members that were sent; an absent one keeps its value. */
function definedMembers(members: { [Key in keyof UserPatch]: UserPatch[Key] | undefined }): UserPatch {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
