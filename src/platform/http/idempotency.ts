import { createHmac } from 'node:crypto'
import { Readable } from 'node:stream'

import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Db } from '../db/db.ts'
import { ConflictError, InvalidError, UnprocessableError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Logger } from '../log.ts'
import type { Sweep } from '../sweep.ts'
import {
  claimKey,
  deleteExpiredKeys,
  LEASE_SECONDS,
  releaseKey,
  renewLease,
  storeAnswer,
  type KeyClaim,
} from './idempotency-queries.ts'

const HEADER = 'Idempotency-Key'
const VISIBLE = /^[\x21-\x7e]{1,255}$/
const RENEW_MS = (LEASE_SECONDS * 1000) / 3
/** The first try may miss a row that is committed at that very moment; the second sees it, the rest is patience with released keys. */
const CLAIM_TRIES = 5

/** Of a streamed answer; the others are small. */
const MAX_STORED_BYTES = 1_048_576

/** What a request holds while it runs under a key. */
export interface RunningKey {
  claim: KeyClaim
  renewal: NodeJS.Timeout
}

const running = new WeakMap<FastifyRequest, RunningKey>()

/** The key of the request, if it brings one; refuses one that is empty, too long, or not visible ASCII. */
export function idempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key === 'string' && VISIBLE.test(key)) return key
  throw InvalidError.fields({ [HEADER]: ['Must be 1 to 255 visible ASCII characters.'] })
}

/**
 * Takes the key for this request, or answers for it: with the stored answer of the same request, 422 for another request under the same
 * key, 409 while the first one runs. Returns whether the reply was sent.
 */
export async function beginUnderKey(
  request: FastifyRequest,
  reply: FastifyReply,
  db: Db,
  key: string,
  bodyHash: Buffer,
): Promise<boolean> {
  const claim = { userId: request.caller.userId, key, fingerprint: fingerprintOf(request, bodyHash), claim: newId() }
  for (let attempt = 0; attempt < CLAIM_TRIES; attempt++) {
    const row = await claimKey(db, claim)
    if (row === undefined) continue
    if (row.claimed) {
      hold(request, reply, db, claim)
      return false
    }
    if (!row.fingerprint.equals(claim.fingerprint))
      throw new UnprocessableError(`This ${HEADER} was used with another request.`)
    if (row.status === null) break
    reply.code(row.status).headers({ ...row.headers, 'idempotency-replayed': 'true' })
    await reply.send(row.body?.length === 0 ? null : row.body)
    return true
  }
  throw new ConflictError(`The first request with this ${HEADER} is still running.`, {
    headers: { 'retry-after': '1' },
  })
}

/**
 * Stores the answer and returns what is to be sent, or frees the key where a repetition must run again: 429, 5xx, and streamed answers that
 * are too long to be kept.
 */
export async function finishUnderKey(
  request: FastifyRequest,
  reply: FastifyReply,
  db: Db,
  payload: unknown,
): Promise<unknown> {
  const held = running.get(request)
  if (held === undefined) return payload
  try {
    const answer = payload instanceof Readable ? await collect(payload, MAX_STORED_BYTES) : payload
    await settle(request, reply, db, held, bytesOf(answer))
    return answer
  } catch (error) {
    await settle(request, reply, db, held, undefined)
    throw error
  }
}

async function settle(
  request: FastifyRequest,
  reply: FastifyReply,
  db: Db,
  held: RunningKey,
  body: Buffer | undefined,
): Promise<void> {
  letGo(request, held)
  const status = reply.statusCode
  try {
    if (status >= 500 || status === 429 || body === undefined) await releaseKey(db, held.claim)
    else await storeAnswer(db, held.claim, { status, headers: keptHeaders(reply), body })
  } catch (error) {
    // The request itself is done and committed: its answer goes out; the key frees itself with its lease.
    request.log.warn({ err: error }, 'idempotency key could not be stored')
  }
}

/** All of a streamed answer, or a stream of the same when it is longer than `maxBytes`. */
async function collect(answer: Readable, maxBytes: number): Promise<Buffer | Readable> {
  const chunks: Buffer[] = []
  let size = 0
  const rest = answer.iterator()
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    const chunk = Buffer.from(next.value as Buffer | string)
    chunks.push(chunk)
    size += chunk.length
    if (size > maxBytes) return Readable.from(chain(chunks, rest), { objectMode: false })
  }
  return Buffer.concat(chunks, size)
}

async function* chain(first: Buffer[], rest: AsyncIterable<unknown>): AsyncGenerator {
  yield* first
  yield* rest
}

/** Deletes keys past their 24 hours, in batches. */
export function idempotencySweep(context: { db: Db; log: Logger }): Sweep {
  const batch = 1_000
  return {
    name: 'platform.delete-idempotency-keys',
    everySeconds: 600,
    run: async () => {
      let total = 0
      for (let deleted = batch; deleted === batch; total += deleted)
        deleted = await deleteExpiredKeys(context.db, batch)
      if (total > 0) context.log.info({ deleted: total }, 'expired idempotency keys deleted')
    },
  }
}

function hold(request: FastifyRequest, reply: FastifyReply, db: Db, claim: KeyClaim): void {
  const renewal = setInterval(() => {
    // A reply that never passes through `finishUnderKey` (the connection was taken over) must not renew for ever.
    if (reply.sent) return letGo(request, held)
    renewLease(db, claim).catch((error: unknown) => request.log.warn({ err: error }, 'idempotency lease not renewed'))
  }, RENEW_MS)
  const held = { claim, renewal }
  running.set(request, held)
}

function letGo(request: FastifyRequest, held: RunningKey): void {
  clearInterval(held.renewal)
  running.delete(request)
}

/** Both spellings of a path are one request. Keyed, because a body may hold passwords, which a plain digest would let one guess. */
function fingerprintOf(request: FastifyRequest, bodyHash: Buffer): Buffer {
  const [path = '', query = ''] = request.url.split(/\?(.*)/s, 2)
  return createHmac('sha256', `souk idempotency ${request.server.config.secretKey}`)
    .update(`${request.method}\n${path.replace(/\/$/, '')}\n${query}\n`)
    .update(bodyHash)
    .digest()
}

function keptHeaders(reply: FastifyReply): Record<string, string> {
  const kept = ['location', 'content-type'].map((name) => [name, reply.getHeader(name)])
  return Object.fromEntries(kept.filter((pair): pair is [string, string] => typeof pair[1] === 'string'))
}

function bytesOf(payload: unknown): Buffer | undefined {
  if (payload === undefined || payload === null) return Buffer.alloc(0)
  if (typeof payload === 'string') return Buffer.from(payload)
  return Buffer.isBuffer(payload) ? payload : undefined
}
