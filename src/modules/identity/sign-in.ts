import { recordChange } from '../../changes/index.ts'
import type { Caller } from '../../platform/http/caller.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Config } from '../../platform/config.ts'
import type { Db, Tx } from '../../platform/db/db.ts'
import type { SoukError } from '../../platform/errors.ts'
import { foldCase } from '../../platform/fold-case.ts'
import { newId } from '../../platform/ids.ts'
import { passwordHashing } from './passwords.ts'
import { findAccountWithFailures, saveLastLogin, type FailureKey } from './sign-in-failure-queries.ts'
import { addressOf, countFailure, refuseIfBlocked, unknownSubject } from './sign-in-failures.ts'
import { insertSignIn, markSignInRevoked, type SignInKind } from './sign-in-queries.ts'
import { latestEnd, type NewCredential } from './tokens.ts'
import { audienceOf, signInCreated, signInRevoked } from './topics.ts'
import type { Account, User } from './users-queries.ts'

/** What signing in needs of the platform; the App has all of it. */
export interface SignInContext {
  db: Db
  config: Config
  clock: Clock
}

export interface SignInAttempt {
  /** User name or e-mail. */
  username: string
  password: string
  ip: string
}

export type Refusal = 'unknown' | 'inactive' | 'wrong-password'
export type Verdict = { outcome: 'right'; account: Account; failures: FailureKey } | { outcome: Refusal }

interface CheckOptions {
  /** The answer does not tell whether the name exists, so its time must not either. */
  hidesUnknown: boolean
  /** Spares the hashing of a pair that was found right a moment ago. */
  isRemembered?: (account: Account) => boolean
}

/** No name is longer, in UTF-16 units; what is cut off belongs to a name that nobody has. */
const LONGEST_NAME = 600

/** Checks a name and password and counts a failure; throws TooManyRequestsError after too many of them. */
export async function checkSignIn(
  context: SignInContext,
  attempt: SignInAttempt,
  options: CheckOptions,
): Promise<Verdict> {
  const { db, config, clock } = context
  const limit = config.identity.signinFailureLimit
  const name = foldCase(attempt.username.slice(0, LONGEST_NAME))
  const address = addressOf(attempt.ip)
  const unknown = unknownSubject(name)
  const { account, blockingFailureAt } = await findAccountWithFailures(db, name, { unknown, address, limit })
  refuseIfBlocked(blockingFailureAt, limit, clock.now())

  const failures: FailureKey = { subject: account?.id ?? unknown, address, limit }
  const refusal = await refusalOf(account, attempt.password, options)
  if (account !== undefined && refusal === undefined) return { outcome: 'right', account, failures }
  await countFailure(db, failures, clock.now())
  return { outcome: refusal ?? 'unknown' }
}

async function refusalOf(
  account: Account | undefined,
  password: string,
  { hidesUnknown, isRemembered }: CheckOptions,
): Promise<Refusal | undefined> {
  if (account === undefined) {
    if (hidesUnknown) await passwordHashing.checkNobody(password)
    return 'unknown'
  }
  const isRight = isRemembered?.(account) || (await passwordHashing.isRight(account.passwordHash, password))
  if (!account.isActive) return 'inactive'
  return isRight ? undefined : 'wrong-password'
}

/** What a sign-in hands out, and what is kept of it. */
export interface Issued<Answer> {
  credentials: NewCredential[]
  /** Ends of credentials that are not kept: JWT access tokens. */
  otherEnds?: Date[]
  answer: Answer
}

export interface SignInPlan<Answer> {
  kind: SignInKind
  clientId?: string
  hidesUnknown: boolean
  /** The answer of this endpoint to an attempt that fails. */
  refuse(refusal: Refusal): SoukError | Error
  issue(account: Account, signInId: string, now: Date): Issued<Answer>
}

/** Signs a user in: one row for the sign-in, one for each credential, and what the endpoint answers. */
export async function signIn<Answer>(
  context: SignInContext,
  attempt: SignInAttempt,
  plan: SignInPlan<Answer>,
): Promise<Answer> {
  const verdict = await checkSignIn(context, attempt, plan)
  if (verdict.outcome !== 'right') throw plan.refuse(verdict.outcome)

  const { account, failures } = verdict
  const now = context.clock.now()
  return context.db.transaction(async (tx) => {
    const saved = await saveLastLogin(tx, account, failures)
    // A password change or deletion that committed while we hashed has ended this attempt as well, and so have guesses beside it.
    if (saved === undefined) throw plan.refuse('wrong-password')
    refuseIfBlocked(saved.blockingFailureAt, failures.limit, now)
    const signInId = newId()
    const issued = plan.issue(account, signInId, now)
    await openSignIn(tx, { id: signInId, user: account, kind: plan.kind, clientId: plan.clientId ?? null }, issued)
    return issued.answer
  })
}

interface OpeningSignIn {
  id: string
  user: User
  kind: SignInKind
  clientId: string | null
}

/** Writes a sign-in of a user who has proved to be the one, with the credentials issued by it. */
export async function openSignIn(tx: Tx, signIn: OpeningSignIn, issued: Issued<unknown>): Promise<void> {
  const { id, user, kind, clientId } = signIn
  const expiresAt = latestEnd([
    ...issued.credentials.map((credential) => credential.expiresAt),
    ...(issued.otherEnds ?? []),
  ])
  await insertSignIn(tx, { id, userId: user.id, kind, clientId, expiresAt }, issued.credentials)
  await recordChange(tx, {
    topic: signInCreated,
    subjectId: id,
    actor: user.id,
    audience: audienceOf(user.id),
    data: { user_id: user.id, sign_in_id: id, kind },
  })
}

type RevocationReason = 'logged-out' | 'refresh-reused' | 'revoked-by-client'

/** Ends a sign-in: every credential issued by it is refused once this commits. Doing it twice changes nothing. */
export async function revokeSignIn(tx: Tx, signInId: string, reason: RevocationReason): Promise<void> {
  const userId = await markSignInRevoked(tx, signInId)
  if (userId === undefined) return
  await recordChange(tx, {
    topic: signInRevoked,
    subjectId: signInId,
    actor: reason === 'logged-out' ? userId : null,
    audience: audienceOf(userId),
    data: { user_id: userId, sign_in_id: signInId, reason },
  })
}

/** Ends the sign-in that the caller's credential belongs to; with HTTP Basic there is none. */
export async function logOut(tx: Tx, caller: Caller): Promise<void> {
  if (caller.signInId !== null) await revokeSignIn(tx, caller.signInId, 'logged-out')
}
