import { Type } from 'typebox'

import { timestampSchema, uuidSchema } from '../../platform/http/schemas.ts'

export const followingSchema = Type.Object({
  following: Type.Literal(true),
  user: Type.Object({ id: uuidSchema, username: Type.String() }),
})

export const followerSchema = Type.Object({
  id: uuidSchema,
  username: Type.String(),
  date_joined: timestampSchema,
  followed_at: timestampSchema,
})
