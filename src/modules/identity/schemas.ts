import { Type } from 'typebox'

import { messageSchema, nullable, timestampSchema, uuidSchema } from '../../platform/http/schemas.ts'

export { messageSchema }

const name = (maxLength: number) => Type.Optional(Type.String({ description: `At most ${maxLength} characters.` }))
const username = Type.String({
  description: '1 to 150 letters, digits and `@ . + - _`; unique among users without regard to case.',
  examples: ['ada'],
})
const email = Type.String({ description: 'One `@`, at most 254 characters; unique.', examples: ['ada@example.com'] })
const password = Type.String({ description: '4 to 128 characters, not all blanks.', examples: ['a good password'] })

// Lengths and patterns are judged by account-rules.ts, in the words that the contracts fix.
export const signUpBody = Type.Object({
  email,
  password,
  username: Type.Optional(username),
  first_name: name(50),
  last_name: name(50),
})

export const createUserBody = Type.Object({
  first_name: Type.String({ description: '1 to 50 characters.' }),
  last_name: Type.String({ description: '1 to 50 characters.' }),
  username: Type.String({ description: '1 to 50 letters, digits and `@ . + - _`; unique.' }),
  email,
  password: Type.String({ description: '4 to 50 characters, not all blanks.' }),
})

export const feedSignUpBody = Type.Object({ username, email, password, first_name: name(150), last_name: name(150) })

export const registerBody = Type.Object({
  username,
  email: Type.Optional(nullable(email)),
  password,
  confirm_password: Type.String({ description: 'Equal to `password`.' }),
})

/** Who signs in: the e-mail is accepted in place of the user name. */
export const signInBody = Type.Object({
  username: Type.String({ description: 'User name or e-mail.', examples: ['ada'] }),
  password: Type.String({ examples: ['a good password'] }),
})

export const refreshBody = Type.Object({
  refresh: Type.String({ description: 'The refresh token; it is spent by this.' }),
})

export const updatePasswordBody = Type.Object({ old_password: Type.String(), new_password: password })

export const updateUserBody = Type.Object({
  email: Type.Optional(email),
  username: Type.Optional(username),
  first_name: name(150),
  last_name: name(150),
})

const jwt = Type.String({ description: 'A JSON Web Token, HS256.' })
export const jwtPairSchema = Type.Object({ access: jwt, refresh: jwt })
export const statusAndJwtPairSchema = Type.Object({ status: Type.Literal(200), access: jwt, refresh: jwt })
export const tokenSchema = Type.Object({ token: Type.String() })
export const tokenAndNameSchema = Type.Object({ token: Type.String(), username: Type.String() })

export const signedUpSchema = Type.Object({
  message: Type.String(),
  access: jwt,
  refresh: jwt,
  user: Type.Object({
    id: uuidSchema,
    username: Type.String(),
    email: nullable(Type.String()),
    created_at: timestampSchema,
    updated_at: timestampSchema,
  }),
})

export const createdUserSchema = Type.Object({
  id: uuidSchema,
  username: Type.String(),
  email: nullable(Type.String()),
  first_name: Type.String(),
  last_name: Type.String(),
  date_joined: timestampSchema,
})

export const ownProfileSchema = Type.Object({
  id: uuidSchema,
  username: Type.String(),
  first_name: Type.String(),
  last_name: Type.String(),
  email: nullable(Type.String()),
  date_joined: timestampSchema,
})

/** Names and e-mail are there for the user alone, the rest of the optional ones for others. */
export const profileSchema = Type.Object({
  id: uuidSchema,
  username: Type.String(),
  first_name: Type.Optional(Type.String()),
  last_name: Type.Optional(Type.String()),
  email: Type.Optional(nullable(Type.String())),
  date_joined: timestampSchema,
  followers_count: Type.Optional(Type.Integer()),
  following_count: Type.Optional(Type.Integer()),
  is_followed: Type.Optional(Type.Boolean({ description: 'Whether you follow the user.' })),
})

const userRecord = Type.Object({
  id: uuidSchema,
  username: Type.String(),
  email: nullable(Type.String()),
  created_at: timestampSchema,
  updated_at: nullable(timestampSchema),
})
export const userSchema = Type.Object({ user: userRecord })
export const updatedUserSchema = Type.Object({ message: Type.String(), user: userRecord })

/** Not a `uuid` for the validator: the endpoint has its own text for an id that names nobody. */
export const userIdParam = Type.Object({ user_id: Type.String({ description: 'UUID of a user.' }) })
