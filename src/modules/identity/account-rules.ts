import { InvalidError, type FieldErrors } from '../../platform/errors.ts'
import { isUuid } from '../../platform/ids.ts'

const USERNAME_MAX_LENGTH = 150
/** RFC 5321, section 4.5.3.1.3, counts octets, and so do we: what is stored must be deliverable. */
const EMAIL_MAX_OCTETS = 254
const PASSWORD_MAX_LENGTH = 128

const USERNAME = /^[\p{L}\p{M}\p{Nd}@.+\-_]+$/u
/** No spaces, no controls, and none of the characters that separate addresses in a mail header. */
const EMAIL = /^[^\s\p{C}@,;:<>()[\]\\"]+@[\p{L}\p{M}\p{N}-]+(?:\.[\p{L}\p{M}\p{N}-]+)*$/u

const BLANK = 'This field may not be blank.'
export const USERNAME_TAKEN = 'A user with that username already exists.'
export const EMAIL_TAKEN = 'user with this email already exists.'

/** What is wrong with a user name that somebody chose, if anything. */
export function usernameFault(username: string, maxLength = USERNAME_MAX_LENGTH): string | undefined {
  if (username === '') return BLANK
  if (lengthOf(username) > maxLength) return tooLong(maxLength)
  if (!USERNAME.test(username)) return 'Enter a valid username: letters, digits and @ . + - _ only.'
  // A path such as /api/users/{id}/ and a name must never be mistaken for each other.
  if (isUuid(username)) return 'A username may not look like a UUID.'
  return undefined
}

export function emailFault(email: string): string | undefined {
  const isValid = Buffer.byteLength(email) <= EMAIL_MAX_OCTETS && EMAIL.test(email)
  return isValid ? undefined : 'Enter a valid email address.'
}

export function passwordFault(
  password: string,
  minLength: number,
  maxLength = PASSWORD_MAX_LENGTH,
): string | undefined {
  const length = lengthOf(password)
  if (length < minLength) return `Password should have a minimum of ${minLength} characters.`
  if (length > maxLength) return tooLong(maxLength)
  return password.trim() === '' ? BLANK : undefined
}

export function nameFault(name: string, maxLength: number, canBeBlank = true): string | undefined {
  if (lengthOf(name) > maxLength) return tooLong(maxLength)
  return !canBeBlank && name.trim() === '' ? BLANK : undefined
}

/** Throws one InvalidError with every field that has a fault; returns when there is none. */
export function refuseFaults(faults: Record<string, string | undefined>): void {
  const errors: FieldErrors = {}
  for (const [field, fault] of Object.entries(faults)) if (fault !== undefined) errors[field] = [fault]
  if (Object.keys(errors).length > 0) throw InvalidError.fields(errors)
}

/** Characters as people count them: code points, as JSON Schema does. */
function lengthOf(text: string): number {
  return Array.from(text).length
}

function tooLong(maxLength: number): string {
  return `Ensure this field has no more than ${maxLength} characters.`
}
