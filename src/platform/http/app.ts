import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerDefault } from 'fastify'

import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Db } from '../db/db.ts'
import type { Caller } from './caller.ts'

/** The Fastify instance that modules register their routes on. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

declare module 'fastify' {
  interface FastifyInstance {
    db: Db
    config: Config
    clock: Clock
  }

  interface FastifyRequest {
    /** Who calls. Reading it on a route with `access: 'open'` and no credential throws UnauthenticatedError. */
    caller: Caller
    /** The same, undefined for an anonymous request on an open route. */
    callerIfAny: Caller | undefined
  }

  interface FastifyContextConfig {
    /**
     * Who may call. Default `signed-in`: any valid credential with scope read for GET and HEAD, write for the rest.
     * `open`: the credential is not looked at. `optional`: looked at when shown, refused when bad. `staff`: signed-in and `isStaff`.
     */
    access?: 'open' | 'optional' | 'signed-in' | 'staff'
    /** Set where the answer carries a credential or secret: `Idempotency-Key` is ignored, so that no secret is stored. */
    answersSecret?: boolean
    /** Field errors of the schema answer this status instead of 400 (`POST /signup/` answers 409). */
    invalidStatus?: 400 | 409
    /** Repeats each field's error list as a top-level member (product-feed contract, section 1). */
    flatFieldErrors?: boolean
  }
}
