import { STATUS_CODES } from 'node:http'

import { InvalidError, SoukError, type FieldErrors } from '../errors.ts'
import { fromDatabaseError } from './database-errors.ts'

/** An error on its way out, whatever threw it. */
export interface Problem {
  status: number
  code: string
  detail: string
  errors?: FieldErrors | undefined
  extensions: Record<string, unknown>
  headers: Record<string, string>
}

export interface ProblemStyle {
  invalidStatus?: 400 | 409
  flatFieldErrors?: boolean
  errorFormat?: 'problem' | 'oauth'
}

export const NON_FIELD_ERRORS = 'non_field_errors'

/** Members that no field error or extension may replace (sources contract, section 1). */
const RESERVED = new Set(['type', 'title', 'status', 'detail', 'instance', 'errors', 'error', 'message'])

const FRAMEWORK_DETAILS: Record<string, string> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'The body is not valid JSON.',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'Unsupported media type.',
  FST_ERR_CTP_BODY_TOO_LARGE: 'The request body is too large.',
  FST_ERR_BAD_URL: 'The path is not a valid URL path.',
  FST_ERR_MAX_PARAM_LENGTH: 'The path is too long.',
}

const FRAMEWORK_CODES: Record<number, string> = {
  400: 'invalid',
  408: 'request_timeout',
  413: 'payload_too_large',
  414: 'uri_too_long',
  415: 'unsupported_media_type',
}

/** What the client is told about an error. Of an unknown one it learns nothing but that it happened. */
export function toProblem(error: unknown): Problem {
  if (error instanceof SoukError) return fromSoukError(error)
  const framework = fromFrameworkError(error)
  if (framework !== undefined) return framework
  const database = fromDatabaseError(error)
  if (database !== undefined) return fromSoukError(database)
  return { status: 500, code: 'internal_error', detail: 'An unexpected error occurred.', extensions: {}, headers: {} }
}

function fromSoukError(error: SoukError): Problem {
  const { status, code, message, errors, extensions, headers } = error
  return { status, code, detail: message, errors, extensions, headers }
}

/** Errors of Fastify and its plugins carry a `FST_` code, a status, and a message that is meant for the client. */
function fromFrameworkError(error: unknown): Problem | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown }
  if (typeof code !== 'string' || !code.startsWith('FST_')) return undefined
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  const detail = FRAMEWORK_DETAILS[code] ?? error.message
  return { status: statusCode, code: FRAMEWORK_CODES[statusCode] ?? 'invalid', detail, extensions: {}, headers: {} }
}

/** The status after the route's wish for another one than 400 for field errors; a body that is no object stays 400. */
export function problemStatus(problem: Problem, style: ProblemStyle): number {
  if (problem.status !== 400 || style.invalidStatus === undefined) return problem.status
  const hasFieldErrors = Object.keys(problem.errors ?? {}).some((field) => field !== NON_FIELD_ERRORS)
  return hasFieldErrors ? style.invalidStatus : 400
}

/** The body of an error response (RFC 9457, or RFC 6749 section 5.2 where the route asks for it). */
export function problemBody(problem: Problem, style: ProblemStyle): Record<string, unknown> {
  if (style.errorFormat === 'oauth') return { error: oauthError(problem), error_description: problem.detail }
  const status = problemStatus(problem, style)
  return {
    ...(style.flatFieldErrors ? unreserved(problem.errors ?? {}) : {}),
    ...unreserved(problem.extensions),
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: problem.detail,
    error: problem.detail,
    message: problem.detail,
    code: problem.code,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  }
}

function unreserved(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([name]) => !RESERVED.has(name)))
}

/** Codes of RFC 6749 pass; errors that arose before the handler get the nearest word of section 5.2. */
function oauthError(problem: Problem): string {
  if (/^(invalid|unsupported|unauthorized)_[a-z_]+$/.test(problem.code) && problem.code !== 'unsupported_media_type')
    return problem.code
  if (problem.status === 503) return 'temporarily_unavailable'
  return problem.status >= 500 ? 'server_error' : 'invalid_request'
}

/** A body that is no JSON object (or array, where one is expected). */
export function notTheExpectedKind(text: string): InvalidError {
  return InvalidError.fields({ [NON_FIELD_ERRORS]: [text] })
}
