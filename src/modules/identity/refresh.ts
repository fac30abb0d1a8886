import { recordChange } from '../../changes/index.ts'
import type { Tx } from '../../platform/db/db.ts'
import { revokeSignIn, type Issued } from './sign-in.ts'
import {
  extendSignIn,
  insertCredentials,
  lockRefreshCredential,
  spendCredentials,
  type RefreshCredential,
} from './sign-in-queries.ts'
import { latestEnd } from './tokens.ts'
import { audienceOf, signInRenewed } from './topics.ts'

interface RefreshRequest {
  digest: Buffer
  kind: 'jwt-refresh' | 'oauth-refresh'
  /** The OAuth2 client that asks; another client's token does not exist for it. */
  clientId: string | null
}

/**
 * Exchanges a refresh token for what `issue` makes. Undefined when the token is refused; if it was spent before, its sign-in has then been
 * revoked, so the caller must let the transaction commit. Of two that use one token at once one wins, and the other is such a reuse:
 * nothing tells it from a stolen token.
 */
export async function renewSignIn<Answer>(
  tx: Tx,
  request: RefreshRequest,
  now: Date,
  issue: (credential: RefreshCredential) => Issued<Answer>,
): Promise<Answer | undefined> {
  const credential = await lockRefreshCredential(tx, request.digest, request.kind, now)
  if (credential === undefined || credential.clientId !== request.clientId || !credential.isLive) return undefined
  const { signInId } = credential
  if (credential.isSpent) {
    await revokeSignIn(tx, signInId, 'refresh-reused')
    return undefined
  }

  const issued = issue(credential)
  await spendCredentials(tx, signInId, ['jwt-refresh', 'oauth-refresh', 'oauth-access'])
  await insertCredentials(tx, signInId, issued.credentials)
  await extendSignIn(tx, signInId, endOfIssued(issued))
  await recordChange(tx, {
    topic: signInRenewed,
    subjectId: signInId,
    actor: credential.id,
    audience: audienceOf(credential.id),
    data: { user_id: credential.id, sign_in_id: signInId, kind: credential.signInKind },
  })
  return issued.answer
}

function endOfIssued(issued: Issued<unknown>): Date | null {
  return latestEnd([...issued.credentials.map((credential) => credential.expiresAt), ...(issued.otherEnds ?? [])])
}
