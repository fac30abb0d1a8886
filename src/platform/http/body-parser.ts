import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { parse as parseQuery } from 'node:querystring'
import { Readable } from 'node:stream'

import type { FastifyRequest } from 'fastify'

import { InvalidError, UnsupportedMediaTypeError } from '../errors.ts'
import type { BodyType } from './app.ts'
import { requireCleanText } from './clean-text.ts'
import {
  readBody,
  requireUncut,
  takeShortBody,
  watchedStream,
  type BodyLimits,
  type BodyStream,
  type StreamLimits,
} from './read-body.ts'
import { FormFields } from './validation.ts'

export type ParseJson = (text: string) => unknown

export interface ParsedBody {
  value: unknown
  /** SHA-256 of the bytes, see `hashOf`; undefined when it was not asked for, or for a stream past the limit. */
  hash?: Buffer
}

/** More fields than any form of ours. */
const MAX_FORM_FIELDS = 1_000

/** Whether a request announces a body. `Content-Length: 0` is none, whatever its type. */
export function hasBody(request: FastifyRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  return encoding !== undefined || (length !== undefined && Number(length) !== 0)
}

/** The kind of body this request brings, or 415 when the route does not take it. */
export function requireBodyType(request: FastifyRequest, allowed: readonly BodyType[]): BodyType {
  const mediaType = (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()
  const literal = allowed.find((type) => type === mediaType)
  if (literal !== undefined) return literal
  const kind = kindOf(mediaType)
  if (kind !== undefined && allowed.includes(kind)) {
    requirePlain(request)
    return kind
  }
  throw new UnsupportedMediaTypeError(mediaType === '' ? 'Content-Type is missing.' : 'Unsupported media type.')
}

/** Compressed bodies would need limits of their own; only routes that take the stream may know what to do with one. */
function requirePlain(request: FastifyRequest): void {
  const coding = request.headers['content-encoding'] ?? 'identity'
  if (coding.toLowerCase() === 'identity') return
  throw new UnsupportedMediaTypeError('Content-Encoding is not supported.', {
    headers: { 'accept-encoding': 'identity' },
  })
}

function kindOf(mediaType: string): BodyType | undefined {
  if (mediaType === 'application/json' || /^application\/[\w.-]+\+json$/.test(mediaType)) return 'json'
  if (mediaType === 'application/x-www-form-urlencoded') return 'form'
  return mediaType === 'multipart/form-data' ? 'multipart' : undefined
}

/** Reads and parses the body, or hands on the stream where the route takes this media type unread. */
export async function parseBody(
  request: FastifyRequest,
  type: BodyType,
  limits: { body: BodyLimits; stream: StreamLimits; hash: boolean },
  parseJson: ParseJson,
): Promise<ParsedBody> {
  requireUncut(request.raw)
  if (type.includes('/')) {
    const body = watchedStream(request.raw, limits.stream)
    return limits.hash ? hashedStream(body, limits.body.maxBytes) : { value: body }
  }
  const bytes = await readBody(request.raw, limits.body)
  const value = bytes.length === 0 ? undefined : await parseBytes(request, type, bytes, parseJson)
  return limits.hash ? { value, hash: hashOf(request.raw, bytes) } : { value }
}

/** A stream of the body again; with its hash when it is short enough to be held in memory. */
async function hashedStream(body: BodyStream, maxBytes: number): Promise<ParsedBody> {
  const chunks = await takeShortBody(body, maxBytes)
  if (chunks === undefined) return { value: body }
  // In the pieces that came, so that whoever parses them does not hold up the event loop with all at once.
  const value = Object.assign(Readable.from(chunks), { headers: body.headers })
  return { value, hash: hashOf(body, Buffer.concat(chunks)) }
}

/** A form that is sent again has another boundary, made up by the client; it is the same body all the same. */
function hashOf(raw: Pick<IncomingMessage, 'headers'>, bytes: Buffer): Buffer {
  const hash = createHash('sha256')
  const [, quoted, plain] =
    /^multipart\/.*;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(raw.headers['content-type'] ?? '') ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined) return hash.update(bytes).digest()
  return hash.update(bytes.toString('latin1').replaceAll(`--${boundary}`, '--'), 'latin1').digest()
}

async function parseBytes(
  request: FastifyRequest,
  type: BodyType,
  bytes: Buffer,
  parseJson: ParseJson,
): Promise<unknown> {
  if (type === 'multipart') return clean(new FormFields(await multipartFields(request, bytes)))
  if (!isUtf8(bytes)) throw new InvalidError('The body is not valid UTF-8.')
  const text = bytes.toString('utf8')
  if (type === 'form') return clean(new FormFields(parseQuery(text, '&', '=', { maxKeys: MAX_FORM_FIELDS })))
  const value = parseJson(text)
  requireCleanText(value)
  return value
}

function clean(form: FormFields): FormFields {
  requireCleanText(form.values)
  return form
}

/** Text fields of a multipart body; files are left out. The body is bounded and in memory already, so the platform's own parser serves. */
async function multipartFields(request: FastifyRequest, bytes: Buffer): Promise<Record<string, unknown>> {
  const response = new Response(new Uint8Array(bytes), {
    headers: { 'content-type': request.headers['content-type'] ?? '' },
  })
  const form = await response.formData().catch(() => {
    throw new InvalidError('The multipart body is malformed.')
  })
  const fields = Object.create(null) as Record<string, unknown>
  for (const [name, value] of form.entries()) {
    if (typeof value === 'string') fields[name] = value
  }
  return fields
}
