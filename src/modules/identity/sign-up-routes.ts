import type { Static } from 'typebox'

import type { App } from '../../platform/http/app.ts'
import { newId } from '../../platform/ids.ts'
import { createAccount } from './accounts.ts'
import { emailFault, nameFault, passwordFault, refuseFaults, usernameFault } from './account-rules.ts'
import { issueJwtPair } from './issue.ts'
import type { Jwts } from './jwts.ts'
import { passwordHashing } from './passwords.ts'
import { presentCreatedUser, presentUser } from './presenters.ts'
import {
  createdUserSchema,
  createUserBody,
  feedSignUpBody,
  messageSchema,
  registerBody,
  signedUpSchema,
  signUpBody,
} from './schemas.ts'
import { openSignIn } from './sign-in.ts'
import type { User } from './users-queries.ts'

const tags = ['Accounts']

/** The four ways to create a user; all write the same table under the same rules, each with the texts of its contract. */
export function signUpRoutes(app: App, jwts: Jwts): void {
  signUpRoute(app, jwts)
  createUserRoute(app)
  olderSignUpRoutes(app)
}

function signUpRoute(app: App, jwts: Jwts): void {
  app.post(
    '/api/auth/signup/',
    {
      config: {
        access: 'open',
        answersSecret: true,
        postman: {
          order: 10,
          body: { username: '{{username}}', email: '{{email}}', password: '{{password}}' },
          save: { userId: 'user.id', firstToken: 'access' },
        },
      },
      schema: {
        tags,
        operationId: 'signUp',
        summary: 'Sign up and be signed in',
        body: signUpBody,
        response: { 201: signedUpSchema },
      },
    },
    async (request, reply) => reply.code(201).send(await signUp(app, jwts, request.body)),
  )
}

function createUserRoute(app: App): void {
  app.post(
    '/api/users/',
    {
      config: {
        access: 'open',
        postman: {
          order: 20,
          body: {
            username: '{{username}}-b',
            email: 'b-{{email}}',
            password: '{{password}}',
            first_name: 'Ada',
            last_name: 'Lovelace',
          },
          save: { otherUserId: 'id' },
        },
      },
      schema: {
        tags,
        operationId: 'createUser',
        summary: 'Create a user',
        body: createUserBody,
        response: { 201: createdUserSchema },
      },
    },
    async (request, reply) => {
      const user = await createUser(app, request.body)
      return reply.code(201).header('location', `/api/users/${user.id}/`).send(presentCreatedUser(user))
    },
  )
}

/** Those of the product feed and the data sources. */
function olderSignUpRoutes(app: App): void {
  app.post(
    '/signup/',
    {
      // The product feed contract, section 2, answers 409 to every field error.
      config: {
        access: 'open',
        bodyTypes: ['json', 'form'],
        invalidStatus: 409,
        flatFieldErrors: true,
        errors: [409],
        postman: { order: 21, body: { username: '{{username}}-c', email: 'c-{{email}}', password: '{{password}}' } },
      },
      schema: {
        tags,
        operationId: 'signUpForFeed',
        summary: 'Sign up (product feed clients)',
        body: feedSignUpBody,
        response: { 201: messageSchema },
      },
    },
    async (request, reply) => {
      await createFeedUser(app, request.body)
      return reply.code(201).send({ message: 'Signed up successfully!' })
    },
  )

  app.post(
    '/api/register/',
    {
      config: {
        access: 'open',
        bodyTypes: ['json', 'form', 'multipart'],
        flatFieldErrors: true,
        postman: {
          order: 22,
          body: {
            username: '{{username}}-d',
            email: 'd-{{email}}',
            password: '{{password}}',
            confirm_password: '{{password}}',
          },
        },
      },
      schema: {
        tags,
        operationId: 'register',
        summary: 'Register (data source clients)',
        body: registerBody,
        response: { 201: messageSchema },
      },
    },
    async (request, reply) => {
      await register(app, request.body)
      return reply.code(201).send({ message: 'User registered successfully' })
    },
  )
}

async function signUp(app: App, jwts: Jwts, body: Static<typeof signUpBody>) {
  const { email, password, first_name: firstName = '', last_name: lastName = '' } = body
  refuseFaults({
    email: emailFault(email),
    password: passwordFault(password, app.config.identity.passwordMinLength),
    // The default is the e-mail, whose characters and length are its own.
    username: body.username === undefined ? undefined : usernameFault(body.username),
    first_name: nameFault(firstName, 50),
    last_name: nameFault(lastName, 50),
  })
  const passwordHash = await passwordHashing.hash(password)
  const now = app.clock.now()
  return app.db.transaction(async (tx) => {
    const account = { username: body.username ?? email, email, passwordHash, firstName, lastName }
    const user = await createAccount(tx, account)
    const signInId = newId()
    const issued = issueJwtPair(jwts, app.config, user, signInId, now)
    await openSignIn(tx, { id: signInId, user, kind: 'jwt', clientId: null }, issued)
    return { message: 'User created successfully', ...issued.answer, user: presentUser(user) }
  })
}

async function createUser(app: App, body: Static<typeof createUserBody>): Promise<User> {
  const { email, password, username, first_name: firstName, last_name: lastName } = body
  refuseFaults({
    first_name: nameFault(firstName, 50, false),
    last_name: nameFault(lastName, 50, false),
    username: usernameFault(username, 50),
    email: emailFault(email),
    password: passwordFault(password, app.config.identity.passwordMinLength, 50),
  })
  const passwordHash = await passwordHashing.hash(password)
  return app.db.transaction((tx) => createAccount(tx, { username, email, passwordHash, firstName, lastName }))
}

async function createFeedUser(app: App, body: Static<typeof feedSignUpBody>): Promise<void> {
  const { email, password, username, first_name: firstName = '', last_name: lastName = '' } = body
  refuseFaults({
    username: usernameFault(username),
    email: emailFault(email),
    password: passwordFault(password, app.config.identity.passwordMinLength),
    first_name: nameFault(firstName, 150),
    last_name: nameFault(lastName, 150),
  })
  const passwordHash = await passwordHashing.hash(password)
  await app.db.transaction((tx) => createAccount(tx, { username, email, passwordHash, firstName, lastName }))
}

async function register(app: App, body: Static<typeof registerBody>): Promise<void> {
  const { username, password } = body
  // The client always sends the field; an empty one means that there is no e-mail.
  const email = body.email === undefined || body.email === '' ? null : body.email
  refuseFaults({
    username: usernameFault(username),
    email: email === null ? undefined : emailFault(email),
    password: passwordFault(password, app.config.identity.passwordMinLength),
    non_field_errors: body.confirm_password === password ? undefined : 'Passwords do not match.',
  })
  const passwordHash = await passwordHashing.hash(password)
  await app.db.transaction((tx) => createAccount(tx, { username, email, passwordHash }))
}
