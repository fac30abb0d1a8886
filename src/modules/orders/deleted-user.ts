import { UnauthenticatedError } from '../../platform/errors.ts'

/** The credential was good when the request came; its user has gone since. */
export function deletedUser(): UnauthenticatedError {
  return new UnauthenticatedError('The user of this credential has been deleted.')
}
