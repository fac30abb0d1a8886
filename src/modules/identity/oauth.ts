import { recordChange } from '../../changes/index.ts'
import { InvalidError } from '../../platform/errors.ts'
import type { Scope } from '../../platform/http/caller.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'
import { issueOauthPair, type OauthPair } from './issue.ts'
import { findOauthCredential } from './oauth-queries.ts'
import { renewSignIn } from './refresh.ts'
import { revokeSignIn, signIn, type SignInAttempt, type SignInContext } from './sign-in.ts'
import { spendCredentials } from './sign-in-queries.ts'
import { ALL_SCOPES, digestOf } from './tokens.ts'
import { accessTokenRevoked, audienceOf } from './topics.ts'

/** The password grant (RFC 6749, section 4.3). */
export function grantByPassword(
  context: SignInContext,
  clientId: string,
  attempt: SignInAttempt,
  scope: string | undefined,
): Promise<OauthPair> {
  const scopes = readScopes(scope)
  return signIn(context, attempt, {
    kind: 'oauth',
    clientId,
    hidesUnknown: true,
    refuse: () => invalidGrant('Invalid credentials given.'),
    issue: (_account, _signInId, now) => issueOauthPair(context.config, scopes, now),
  })
}

/** The refresh grant (RFC 6749, section 6): the old pair is spent. A scope may be narrowed, never widened. */
export async function grantByRefresh(
  { db, config, clock }: SignInContext,
  clientId: string,
  refreshToken: string,
  scope: string | undefined,
): Promise<OauthPair> {
  const now = clock.now()
  const request = { digest: digestOf(refreshToken), kind: 'oauth-refresh', clientId } as const
  const pair = await db.transaction((tx) =>
    renewSignIn(tx, request, now, (credential) =>
      issueOauthPair(config, narrowedScopes(scope, credential.scopes), now),
    ),
  )
  if (pair === undefined) throw invalidGrant('The refresh token is unknown, spent or revoked.')
  return pair
}

function invalidGrant(text: string): InvalidError {
  return new InvalidError(text, { code: 'invalid_grant' })
}

/** Words out of `read` and `write`; without any, both. */
function readScopes(scope: string | undefined): Scope[] {
  const words = (scope ?? '').split(' ').filter((word) => word !== '')
  if (words.some((word) => !ALL_SCOPES.some((known) => known === word))) throw invalidScope()
  return words.length === 0 ? [...ALL_SCOPES] : ALL_SCOPES.filter((known) => words.includes(known))
}

function narrowedScopes(scope: string | undefined, granted: readonly Scope[]): readonly Scope[] {
  if (scope === undefined || scope.trim() === '') return granted
  const wanted = readScopes(scope)
  if (wanted.some((word) => !granted.includes(word))) throw invalidScope()
  return wanted
}

function invalidScope(): InvalidError {
  return new InvalidError('The requested scope is unknown or exceeds what was granted.', { code: 'invalid_scope' })
}

/**
 * Ends a token of this client (RFC 7009): an access token alone, a refresh token with its whole sign-in. Whatever is not a live token of
 * this client is left as it is.
 */
export async function revokeOauthToken(tx: Tx, clientId: string, token: string, now: Date): Promise<void> {
  const credential = await findOauthCredential(tx, digestOf(token), now)
  if (!credential?.isLive || credential.clientId !== clientId) return
  const { kind, signInId, userId } = credential
  if (kind === 'oauth-refresh') return revokeSignIn(tx, signInId, 'revoked-by-client')

  await spendCredentials(tx, signInId, ['oauth-access'])
  await recordChange(tx, {
    topic: accessTokenRevoked,
    subjectId: signInId,
    actor: null,
    audience: audienceOf(userId),
    data: { user_id: userId, sign_in_id: signInId },
  })
}

/** What a token stands for now (RFC 7662). */
export async function introspectToken(db: Queryable, token: string, now: Date) {
  const credential = await findOauthCredential(db, digestOf(token), now)
  if (!credential?.isLive) return { active: false }
  return {
    active: true,
    scope: credential.scopes.join(' '),
    username: credential.username,
    client_id: credential.clientId,
    exp: Math.floor(Date.parse(credential.expiresAt) / 1000),
  }
}
