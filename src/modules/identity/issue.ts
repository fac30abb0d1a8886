import type { Config } from '../../platform/config.ts'
import type { Scope } from '../../platform/http/caller.ts'
import type { Jwts } from './jwts.ts'
import type { Issued } from './sign-in.ts'
import { ALL_SCOPES, digestOf, endOf, newOpaqueToken, type CredentialKind, type NewCredential } from './tokens.ts'
import type { User } from './users-queries.ts'

/** Identity contract, section 1.3. */
export const SESSION_TTL_SECONDS = 14 * 86_400

export interface JwtPair {
  access: string
  refresh: string
}

export interface OauthPair {
  access_token: string
  refresh_token: string
  expires_in: number
  token_type: 'Bearer'
  scope: string
}

/** An API token. */
export function issueToken(config: Config, now: Date): Issued<string> {
  return issueOpaque('token', ALL_SCOPES, endOf(now, config.identity.apiTokenTtlSeconds))
}

/** The value of a session cookie. */
export function issueSession(now: Date): Issued<string> {
  return issueOpaque('session', ALL_SCOPES, endOf(now, SESSION_TTL_SECONDS))
}

/** A JWT pair; only the refresh token is kept, by its `jti`. */
export function issueJwtPair(jwts: Jwts, config: Config, user: User, signInId: string, now: Date): Issued<JwtPair> {
  const subject = { userId: user.id, username: user.username, firstName: user.firstName, signInId }
  const access = jwts.issue('access', subject, now, config.identity.jwtAccessTtlSeconds)
  const refresh = jwts.issue('refresh', subject, now, config.identity.jwtRefreshTtlSeconds)
  const kept: NewCredential = {
    kind: 'jwt-refresh',
    digest: digestOf(refresh.jti),
    scopes: ALL_SCOPES,
    expiresAt: refresh.expiresAt,
  }
  return {
    credentials: [kept],
    otherEnds: [access.expiresAt],
    answer: { access: access.token, refresh: refresh.token },
  }
}

/** An OAuth2 pair; the refresh token lives as long as that of a JWT pair. */
export function issueOauthPair(config: Config, scopes: readonly Scope[], now: Date): Issued<OauthPair> {
  const { oauthAccessTtlSeconds, jwtRefreshTtlSeconds } = config.identity
  const access = issueOpaque('oauth-access', scopes, endOf(now, oauthAccessTtlSeconds))
  const refresh = issueOpaque('oauth-refresh', scopes, endOf(now, jwtRefreshTtlSeconds))
  return {
    credentials: [...access.credentials, ...refresh.credentials],
    answer: {
      access_token: access.answer,
      refresh_token: refresh.answer,
      expires_in: oauthAccessTtlSeconds,
      token_type: 'Bearer',
      scope: scopes.join(' '),
    },
  }
}

function issueOpaque(kind: CredentialKind, scopes: readonly Scope[], expiresAt: Date | null): Issued<string> {
  const token = newOpaqueToken()
  return { credentials: [{ kind, digest: digestOf(token), scopes, expiresAt }], answer: token }
}
