import { SoukError } from '../errors.ts'

/** The errors that only the server itself makes; modules have those of `platform/errors.ts`. */
export class MethodNotAllowedError extends SoukError {
  readonly status = 405
  constructor(method: string, allow: string) {
    super(`Method "${method}" not allowed.`, 'method_not_allowed', { headers: { allow } })
  }
}

export class RequestTimeoutError extends SoukError {
  readonly status = 408
  constructor() {
    super('The request body did not arrive in time.', 'request_timeout')
  }
}
