import { createHmac, randomBytes } from 'node:crypto'

import { UnauthenticatedError } from '../../platform/errors.ts'
import type { Authenticate, Caller, Credentials } from '../../platform/http/caller.ts'
import { readCredential, type Shown } from './credentials.ts'
import { createJwts, type Jwts } from './jwts.ts'
import { secretKeyOf } from './secret-key.ts'
import { checkSignIn, type SignInContext } from './sign-in.ts'
import { findLiveCredential, findLiveSignIn } from './sign-in-queries.ts'
import { ALL_SCOPES, digestOf, type CredentialKind } from './tokens.ts'
import type { Account, User } from './users-queries.ts'

const BAD_CREDENTIAL = 'The credential is unknown, expired or revoked.'

/**
 * The one authentication step for every credential: one query each, and no hashing except for HTTP Basic. Undefined when nothing was
 * shown; throws UnauthenticatedError when what was shown does not stand for a live user, TooManyRequestsError after too many bad Basic pairs.
 */
export function createAuthenticate(context: SignInContext): Authenticate {
  const findBearer = createFindBearer(context)
  const verified = createVerifiedPairs(context)

  return async (credentials) => {
    const shown = readCredential(credentials.headers)
    if (shown.kind === 'nothing') return undefined
    if (shown.kind === 'basic') return authenticateBasic(context, verified, shown, credentials)
    const caller = await findBearer(shown)
    if (caller === undefined) throw new UnauthenticatedError(BAD_CREDENTIAL)
    return caller
  }
}

/** Looks up whatever belongs to a sign-in: token, JWT or cookie; undefined for anything else and for what is not valid. */
export function createFindBearer({ db, config, clock }: SignInContext): (shown: Shown) => Promise<Caller | undefined> {
  const jwts = createJwts(secretKeyOf(config))

  async function findOpaque(token: string, kinds: readonly CredentialKind[]): Promise<Caller | undefined> {
    const found = await findLiveCredential(db, digestOf(token), kinds, clock.now())
    if (found === undefined) return undefined
    const via = found.kind === 'oauth-access' ? 'oauth' : found.kind === 'session' ? 'session' : 'token'
    const { signInId, scopes, expiresAt } = found
    return {
      ...callerOf(found),
      signInId,
      scopes,
      via,
      ...(expiresAt === null ? {} : { expiresAt: Date.parse(expiresAt) }),
    }
  }

  return async (shown) => {
    switch (shown.kind) {
      case 'jwt':
        return findJwt(jwts, shown.token, { db, clock })
      case 'opaque':
        return findOpaque(shown.token, ['token', 'oauth-access'])
      case 'session':
        return findOpaque(shown.token, ['session'])
      default:
        return undefined
    }
  }
}

async function findJwt(jwts: Jwts, token: string, { db, clock }: Pick<SignInContext, 'db' | 'clock'>) {
  const claims = jwts.read('access', token, clock.now())
  if (claims === undefined) return undefined
  const user = await findLiveSignIn(db, claims.signInId, claims.userId)
  if (user === undefined) return undefined
  const { signInId, expiresAt } = claims
  return { ...callerOf(user), signInId, scopes: ALL_SCOPES, via: 'jwt' as const, expiresAt: expiresAt * 1000 }
}

function callerOf(user: User) {
  const { id: userId, username, email, isStaff, isSuperuser } = user
  return { userId, username, email, isStaff, isSuperuser }
}

async function authenticateBasic(
  context: SignInContext,
  verified: VerifiedPairs,
  shown: { username: string; password: string },
  { ip }: Credentials,
): Promise<Caller> {
  const attempt = { username: shown.username, password: shown.password, ip }
  const isRemembered = (account: Account) => verified.isRemembered(account, shown.password)
  const verdict = await checkSignIn(context, attempt, { hidesUnknown: true, isRemembered })
  if (verdict.outcome !== 'right') throw new UnauthenticatedError('Invalid username or password.')
  verified.remember(verdict.account, shown.password)
  return { ...callerOf(verdict.account), signInId: null, scopes: ALL_SCOPES, via: 'basic' }
}

/** Contracts README, decision 12. */
const REMEMBERED_MS = 60_000
const MAX_REMEMBERED = 10_000

type VerifiedPairs = ReturnType<typeof createVerifiedPairs>

/**
 * Basic pairs that were found right within the last minute, so that not every request pays for a hash. The key covers the stored hash,
 * which every request reads afresh: after a password change nothing is found. Only keyed digests are held, never a password.
 */
function createVerifiedPairs({ clock }: Pick<SignInContext, 'clock'>) {
  const key = randomBytes(32)
  const endByPair = new Map<string, number>()

  function pairOf(account: Account, password: string): string {
    return createHmac('sha256', key).update(`${account.id} ${account.passwordHash} ${password}`).digest('base64')
  }

  return {
    isRemembered(account: Account, password: string): boolean {
      const end = endByPair.get(pairOf(account, password))
      return end !== undefined && end > clock.now().getTime()
    },
    remember(account: Account, password: string): void {
      const pair = pairOf(account, password)
      const now = clock.now().getTime()
      if ((endByPair.get(pair) ?? 0) > now) return
      // Ends are equally far away, so the map is in order of them: the first are the oldest.
      endByPair.delete(pair)
      endByPair.set(pair, now + REMEMBERED_MS)
      for (const [oldest, end] of endByPair) {
        if (end > now && endByPair.size <= MAX_REMEMBERED) break
        endByPair.delete(oldest)
      }
    },
  }
}
