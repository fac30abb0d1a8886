import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { TSchema } from 'typebox'

import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Db } from '../db/db.ts'
import type { Metrics } from '../metrics.ts'
import type { Caller } from './caller.ts'
import type { Origins } from './origins.ts'
import type { PostmanHints } from './postman-hints.ts'
import type { ReadinessChecks } from './readiness.ts'

/** The Fastify instance that modules register their routes on. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** `open`: the credential is not looked at. `optional`: looked at when shown, refused when bad. `staff`: signed-in and `isStaff`. */
export type Access = 'open' | 'optional' | 'signed-in' | 'staff'

/**
 * `json`, `form` and `multipart` are read whole, at most `bodyLimit`, into `request.body`; of a multipart body the text fields. Values of a
 * form or multipart body are text and are turned into the numbers and booleans of the schema. A literal media type such as
 * `application/gzip` or `multipart/form-data` is not read: `request.body` is the stream, watched for a client that stops sending.
 */
export type BodyType = 'json' | 'form' | 'multipart' | `${string}/${string}`

declare module 'fastify' {
  interface FastifyInstance {
    db: Db
    config: Config
    clock: Clock
    /** The registry behind `/metrics`; other parts add gauges to it. */
    metrics: Metrics
    /** What `/readyz` asks; other parts add to it. */
    readinessChecks: ReadinessChecks
    /** Which browser origins are trusted; also for WebSocket handshakes. */
    origins: Origins
  }

  interface FastifyRequest {
    /** Who calls. Reading it on a route with `access: 'open'` and no credential throws UnauthenticatedError. */
    caller: Caller
    /** The same, undefined for an anonymous request on an open route. */
    callerIfAny: Caller | undefined
  }

  interface FastifyContextConfig {
    /** Who may call; default `signed-in`: any valid credential with scope read for GET and HEAD, write for the rest. */
    access?: Access
    /** True where a credential of any scope will do: what it asks for is its own end. */
    anyScope?: boolean
    /** What the body may be; default JSON where the schema has a body, else the body is ignored. Anything else is 415. */
    bodyTypes?: readonly BodyType[]
    /** For the OpenAPI document: the shape of a body that is streamed and therefore has no `schema.body`. */
    streamSchema?: TSchema
    /** Set where the answer carries a credential or secret: `Idempotency-Key` is ignored, so that no secret is stored. */
    answersSecret?: boolean
    /** Field errors of the schema answer this status instead of 400 (`POST /signup/` answers 409). */
    invalidStatus?: 400 | 409
    /** Repeats each field's error list as a top-level member (product-feed contract, section 1). */
    flatFieldErrors?: boolean
    /** What 404 says where the text in the path could not even be stored; default `Not found.`. */
    notFound?: string
    /** `oauth`: errors are `{error, error_description}` (RFC 6749, section 5.2), `error` being the code of the thrown error. */
    errorFormat?: 'problem' | 'oauth'
    /** False where the answer needs no database, so that it is given even when the pool is overrun. */
    needsDatabase?: boolean
    /** Standard error statuses of this operation beyond those added to the OpenAPI document by themselves. */
    errors?: readonly number[]
    /** Place and values of this operation in the Postman collection. */
    postman?: PostmanHints
  }
}
