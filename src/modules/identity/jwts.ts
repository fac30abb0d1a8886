import { createHmac, randomUUID } from 'node:crypto'

import { createSigner, createVerifier } from 'fast-jwt'

import { isUuid } from '../../platform/ids.ts'

export interface JwtSubject {
  userId: string
  username: string
  firstName: string
  signInId: string
}

export interface JwtClaims {
  userId: string
  signInId: string
  jti: string
  /** Seconds since 1970. */
  expiresAt: number
}

type TokenType = 'access' | 'refresh'

/** Ours are under 3 KB; more is not worth decoding. */
const MAX_LENGTH = 8_192

export type Jwts = ReturnType<typeof createJwts>

/** Signs and checks our JWTs. Only HS256 under our own key is ever accepted: `alg: none` and every other algorithm are refused. */
export function createJwts(secretKey: string) {
  // A key of its own, so that no other use of SECRET_KEY can be turned into a token.
  const key = createHmac('sha256', secretKey).update('souk jwt').digest('hex')
  const sign = createSigner({ key, algorithm: 'HS256' })
  // Times are compared with the clock we were given, below, not with the library's.
  const decode = createVerifier({ key, algorithms: ['HS256'], ignoreExpiration: true, ignoreNotBefore: true })

  function issue(type: TokenType, subject: JwtSubject, now: Date, ttlSeconds: number) {
    const jti = randomUUID()
    const iat = Math.floor(now.getTime() / 1000)
    const token = sign({
      token_type: type,
      iat,
      exp: iat + ttlSeconds,
      jti,
      user_id: subject.userId,
      username: subject.username,
      first_name: subject.firstName,
      sid: subject.signInId,
    })
    return { token, jti, expiresAt: new Date((iat + ttlSeconds) * 1000) }
  }

  /** The claims of a token of this type that we signed and that has not expired, or undefined. */
  function read(type: TokenType, token: string, now: Date): JwtClaims | undefined {
    if (token.length > MAX_LENGTH) return undefined
    const claims = decodeClaims(decode, token)
    if (claims?.['token_type'] !== type) return undefined
    const { user_id: userId, sid: signInId, jti, exp } = claims
    if (typeof userId !== 'string' || typeof signInId !== 'string' || typeof jti !== 'string') return undefined
    if (!isUuid(userId) || !isUuid(signInId)) return undefined
    if (typeof exp !== 'number' || !(exp * 1000 > now.getTime())) return undefined
    return { userId, signInId, jti, expiresAt: exp }
  }

  return { issue, read }
}

function decodeClaims(decode: (token: string) => unknown, token: string): Record<string, unknown> | undefined {
  try {
    return decode(token) as Record<string, unknown>
  } catch {
    // Whatever is wrong with it, it is not a token of ours.
    return undefined
  }
}
