import type { IncomingHttpHeaders } from 'node:http'

export type Scope = 'read' | 'write'

/** Who makes a request, whatever credential was shown. Handlers never see which one. */
export interface Caller {
  userId: string
  username: string
  email: string | null
  isStaff: boolean
  isSuperuser: boolean
  scopes: readonly Scope[]
  /** The sign-in row behind the credential; null with HTTP Basic. */
  signInId: string | null
  /** `session` is the only one that a browser sends by itself, so the only one CSRF rules look at. */
  via: 'token' | 'oauth' | 'jwt' | 'session' | 'basic'
  /** When the credential ends by itself, in Unix milliseconds; absent when it does not. What was opened with it ends then, too. */
  expiresAt?: number
}

export interface Credentials {
  headers: Pick<IncomingHttpHeaders, 'authorization' | 'cookie'>
  /** The address that failed Basic sign-ins are counted for. */
  ip: string
}

/**
 * The one authentication step for every credential (identity contract, section 1.3), implemented by the identity module.
 * Undefined when no credential was shown; throws UnauthenticatedError when the one shown is unknown, expired or revoked.
 */
export type Authenticate = (credentials: Credentials) => Promise<Caller | undefined>
