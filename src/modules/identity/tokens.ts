import { createHash, randomBytes } from 'node:crypto'

import type { Scope } from '../../platform/http/caller.ts'

export type CredentialKind = 'token' | 'session' | 'jwt-refresh' | 'oauth-access' | 'oauth-refresh'

/** A credential as it is stored: its value only as a digest. */
export interface NewCredential {
  kind: CredentialKind
  digest: Buffer
  scopes: readonly Scope[]
  /** Null: no end. */
  expiresAt: Date | null
}

export const ALL_SCOPES: readonly Scope[] = ['read', 'write']

/** 256 random bits as hexadecimal digits: no dot, so that it is never taken for a JWT, and no dash that a command line takes for an option. */
export function newOpaqueToken(): string {
  return randomBytes(32).toString('hex')
}

/** What is stored of a random value and found again by it; no salt is needed because the value cannot be guessed. */
export function digestOf(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}

/** The end of something that lives `seconds`; 0 means no end. */
export function endOf(now: Date, seconds: number): Date | null {
  return seconds === 0 ? null : new Date(now.getTime() + seconds * 1000)
}

/** The latest of several ends, null when one of them never ends. */
export function latestEnd(ends: readonly (Date | null)[]): Date | null {
  let latest = new Date(0)
  for (const end of ends) {
    if (end === null) return null
    if (end > latest) latest = end
  }
  return latest
}
