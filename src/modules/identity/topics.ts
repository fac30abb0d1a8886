import { Type } from 'typebox'

import { defineTopic, type AudienceKey, type Change } from '../../changes/index.ts'

const HEARD_BY = 'the user and staff'
const uuid = Type.String({ format: 'uuid' })
const aUser = { user_id: uuid, username: Type.String() }
const aSignIn = { user_id: uuid, sign_in_id: uuid }

export const userCreated = defineTopic({
  name: 'identity.user.created',
  description: 'A user signed up or was created by the operator.',
  subject: 'user',
  heardBy: HEARD_BY,
  data: Type.Object(aUser),
})

export const userUpdated = defineTopic({
  name: 'identity.user.updated',
  description: 'A user changed their names or e-mail address.',
  subject: 'user',
  heardBy: HEARD_BY,
  data: Type.Object({ ...aUser, fields: Type.Array(Type.String()) }),
})

export const userDeleted = defineTopic({
  name: 'identity.user.deleted',
  description: 'A user was deleted; every sign-in of theirs has ended.',
  subject: 'user',
  heardBy: HEARD_BY,
  data: Type.Object(aUser),
})

export const passwordChanged = defineTopic({
  name: 'identity.password.changed',
  description: 'A user has a new password; every sign-in but the one named as kept has ended.',
  subject: 'user',
  heardBy: HEARD_BY,
  data: Type.Object({ user_id: uuid, kept_sign_in_id: Type.Union([uuid, Type.Null()]) }),
})

export const signInCreated = defineTopic({
  name: 'identity.sign-in.created',
  description: 'A user signed in.',
  subject: 'sign-in',
  heardBy: HEARD_BY,
  data: Type.Object({ ...aSignIn, kind: Type.String() }),
})

export const signInRenewed = defineTopic({
  name: 'identity.sign-in.renewed',
  description: 'A refresh token was exchanged for a new pair; with OAuth2 the old access token has ended.',
  subject: 'sign-in',
  heardBy: HEARD_BY,
  data: Type.Object({ ...aSignIn, kind: Type.String() }),
})

export const signInRevoked = defineTopic({
  name: 'identity.sign-in.revoked',
  description: 'A sign-in has ended, and with it every credential issued by it.',
  subject: 'sign-in',
  heardBy: HEARD_BY,
  data: Type.Object({
    ...aSignIn,
    reason: Type.Union([Type.Literal('logged-out'), Type.Literal('refresh-reused'), Type.Literal('revoked-by-client')]),
  }),
})

export const accessTokenRevoked = defineTopic({
  name: 'identity.access-token.revoked',
  description: 'An OAuth2 client revoked an access token; its sign-in lives on.',
  subject: 'sign-in',
  heardBy: HEARD_BY,
  data: Type.Object(aSignIn),
})

export const topics = [
  userCreated,
  userUpdated,
  userDeleted,
  passwordChanged,
  signInCreated,
  signInRenewed,
  signInRevoked,
  accessTokenRevoked,
]

/** Who hears a change about a user. */
export function audienceOf(userId: string): AudienceKey[] {
  return [`user:${userId}`, 'staff']
}

export interface EndedRights {
  userId: string
  /** `all` includes HTTP Basic, which has no sign-in. */
  signInIds: readonly string[] | 'all'
  /** The one sign-in that lives on when the rest of `all` ended. */
  except?: string
}

/** Whose rights a change ends, for whoever keeps them in memory; undefined when it ends none. */
export function rightsEnded(change: Pick<Change, 'topic' | 'data'>): EndedRights | undefined {
  const data = change.data as Record<string, string | null>
  const userId = data['user_id'] ?? ''
  switch (change.topic) {
    case userDeleted.name:
      return { userId, signInIds: 'all' }
    case passwordChanged.name: {
      const kept = data['kept_sign_in_id']
      return { userId, signInIds: 'all', ...(kept ? { except: kept } : {}) }
    }
    case signInRevoked.name:
    case accessTokenRevoked.name:
      return { userId, signInIds: [data['sign_in_id'] ?? ''] }
    case signInRenewed.name:
      return data['kind'] === 'oauth' ? { userId, signInIds: [data['sign_in_id'] ?? ''] } : undefined
    default:
      return undefined
  }
}
