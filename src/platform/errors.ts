/** Field name (dots for nested fields) to the texts a person reads. `non_field_errors` for errors of no single field. */
export type FieldErrors = Record<string, string[]>

interface ErrorOptions {
  /** Stable word a client can match on. */
  code?: string
  errors?: FieldErrors
  /** Extra members of the problem document, as a contract names them. */
  extensions?: Record<string, unknown>
  headers?: Record<string, string>
}

/** The closed list of errors a module may throw; `http/problem.ts` turns each into a response. */
export abstract class SoukError extends Error {
  abstract readonly status: number
  readonly code: string
  readonly errors: FieldErrors | undefined
  readonly extensions: Record<string, unknown>
  readonly headers: Record<string, string>

  constructor(detail: string, defaultCode: string, options: ErrorOptions = {}) {
    super(detail)
    this.name = new.target.name
    this.code = options.code ?? defaultCode
    this.errors = options.errors
    this.extensions = options.extensions ?? {}
    this.headers = options.headers ?? {}
  }
}

export class InvalidError extends SoukError {
  readonly status = 400
  constructor(detail: string, options: ErrorOptions = {}) {
    super(detail, 'invalid', options)
  }

  /** Field errors; the detail is the first field message, readable by a person. */
  static fields(errors: FieldErrors): InvalidError {
    return new InvalidError(firstMessage(errors), { errors })
  }
}

export class UnauthenticatedError extends SoukError {
  readonly status = 401
  constructor(detail = 'Authentication credentials were not provided.', options: ErrorOptions = {}) {
    super(detail, 'not_authenticated', { ...options, headers: { 'www-authenticate': 'Bearer', ...options.headers } })
  }
}

export class ForbiddenError extends SoukError {
  readonly status = 403
  constructor(detail = 'You do not have permission to perform this action.', options: ErrorOptions = {}) {
    super(detail, 'forbidden', options)
  }
}

export class NotFoundError extends SoukError {
  readonly status = 404
  constructor(detail = 'Not found.', options: ErrorOptions = {}) {
    super(detail, 'not_found', options)
  }
}

export class ConflictError extends SoukError {
  readonly status = 409
  constructor(detail: string, options: ErrorOptions = {}) {
    super(detail, 'conflict', options)
  }
}

/** The thing was here once and is gone for good, such as a position before the start of the log (410). */
export class GoneError extends SoukError {
  readonly status = 410
  constructor(detail: string, options: ErrorOptions = {}) {
    super(detail, 'gone', options)
  }
}

export class PayloadTooLargeError extends SoukError {
  readonly status = 413
  constructor(detail = 'The request body is too large.', options: ErrorOptions = {}) {
    super(detail, 'payload_too_large', options)
  }
}

export class UnsupportedMediaTypeError extends SoukError {
  readonly status = 415
  constructor(detail = 'Unsupported media type.', options: ErrorOptions = {}) {
    super(detail, 'unsupported_media_type', options)
  }
}

export class UnprocessableError extends SoukError {
  readonly status = 422
  constructor(detail: string, options: ErrorOptions = {}) {
    super(detail, 'unprocessable', options)
  }
}

export class TooManyRequestsError extends SoukError {
  readonly status = 429
  constructor(detail: string, retryAfterSeconds: number, options: ErrorOptions = {}) {
    super(detail, 'too_many_requests', { ...options, headers: retryAfter(retryAfterSeconds, options) })
  }
}

export class UnavailableError extends SoukError {
  readonly status = 503
  constructor(detail: string, retryAfterSeconds: number, options: ErrorOptions = {}) {
    super(detail, 'unavailable', { ...options, headers: retryAfter(retryAfterSeconds, options) })
  }
}

/** Whole seconds, at least 1 (RFC 9110, section 10.2.3; identity contract, section 1.2). */
function retryAfter(seconds: number, options: ErrorOptions): Record<string, string> {
  return { ...options.headers, 'retry-after': String(Math.max(1, Math.ceil(seconds))) }
}

function firstMessage(errors: FieldErrors): string {
  return Object.values(errors)[0]?.[0] ?? 'Invalid input.'
}
