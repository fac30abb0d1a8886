import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'

import { InvalidError, PayloadTooLargeError } from '../errors.ts'
import { RequestTimeoutError } from './server-errors.ts'

export interface BodyLimits {
  maxBytes: number
  /** For the whole body, counted from when reading starts. */
  timeoutMs: number
}

/**
 * Throws InvalidError when the client has gone before its body was looked at, while its credential was: nothing would then tell whoever waits
 * for the rest that none will come.
 */
export function requireUncut(raw: IncomingMessage): void {
  if (raw.destroyed && !raw.readableEnded) throw cutShort()
}

function cutShort(): InvalidError {
  return new InvalidError('The request body ended early.')
}

/**
 * Reads a whole body into memory, never more than `maxBytes` of it, whatever `Content-Length` says. What is left unread when it throws is
 * thrown away by `discardRest` once the answer is sent.
 */
export function readBody(raw: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  if (Number(raw.headers['content-length']) > limits.maxBytes) return Promise.reject(new PayloadTooLargeError())
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => stop(new RequestTimeoutError()), limits.timeoutMs)

    function stop(error: Error | undefined): void {
      clearTimeout(timer)
      raw.off('data', onData).off('end', onEnd).off('error', onCut).off('close', onCut)
      if (error === undefined) resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size))
      else reject(error)
    }

    function onData(chunk: Buffer): void {
      size += chunk.length
      if (size > limits.maxBytes) stop(new PayloadTooLargeError())
      else chunks.push(chunk)
    }

    const onEnd = (): void => stop(undefined)
    const onCut = (): void => stop(cutShort())
    raw.on('data', onData).on('end', onEnd).on('error', onCut).on('close', onCut)
  })
}

/**
 * The pieces of a streamed body that is not longer than `maxBytes`; undefined for a longer one, which can then be read as if nothing had been
 * taken from it.
 */
export function takeShortBody(body: BodyStream, maxBytes: number): Promise<Buffer[] | undefined> {
  if (Number(body.headers['content-length']) > maxBytes) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0

    function stop(): void {
      body.off('readable', onReadable).off('end', onEnd).off('error', onError)
    }

    function onReadable(): void {
      for (let chunk = body.read() as Buffer | null; chunk !== null; chunk = body.read() as Buffer | null) {
        chunks.push(chunk)
        size += chunk.length
      }
      if (size <= maxBytes) return
      stop()
      body.unshift(Buffer.concat(chunks, size))
      resolve(undefined)
    }

    function onEnd(): void {
      stop()
      resolve(chunks)
    }

    function onError(error: Error): void {
      stop()
      reject(error)
    }

    body.on('readable', onReadable).on('end', onEnd).on('error', onError)
  })
}

export interface RestLimits {
  bytes: number
  ms: number
}

/**
 * Takes what the client still sends after it was answered (a refused upload) so that it can read the answer: closing at once would reset
 * the connection under it. Past the limits the connection is cut.
 */
export function discardRest(raw: IncomingMessage, limits: RestLimits): void {
  if (raw.readableEnded || raw.destroyed) return
  raw.unpipe()
  if (raw.complete) {
    raw.resume()
    return
  }
  let left = limits.bytes
  const timer = setTimeout(() => raw.destroy(), limits.ms)
  const end = (): void => clearTimeout(timer)
  raw.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) raw.destroy()
  })
  raw.once('end', end).once('close', end).on('error', end).resume()
}

/**
 * To be called before an answer that comes ahead of the end of the body. Node closes right behind the answer when the client asked for that,
 * as proxies and simple clients do, and so resets it while it still sends; here the rest of the body is waited for (`discardRest`).
 */
export function deferClose(raw: IncomingMessage, answer: ServerResponse): void {
  if (answer.shouldKeepAlive || raw.complete) return
  answer.shouldKeepAlive = true
  const close = (): void => raw.socket.destroySoon()
  answer.once('finish', () => {
    if (raw.readableEnded) close()
    else raw.once('end', close)
  })
}

export interface StreamLimits {
  /** How often the client is judged. */
  windowMs: number
  /** What it must send per window, while we are ready to take it. */
  minBytes: number
}

/** A body as a stream of its own; `headers` are those of the request. */
export type BodyStream = Readable & Pick<IncomingMessage, 'headers'>

/**
 * The body as a stream that fails, with RequestTimeoutError when the client sends too slowly and with InvalidError when it goes away. The
 * request itself outlives both, because the answer is still to be sent on it. A long upload that keeps sending is never cut, and while our
 * own side is the slow one no time counts.
 */
export function watchedStream(raw: IncomingMessage, limits: StreamLimits): BodyStream {
  const body = Object.assign(new PassThrough(), { headers: raw.headers })
  let seen = raw.socket.bytesRead
  const timer = setInterval(() => {
    const isOurTurn = raw.complete || body.writableNeedDrain
    const received = raw.socket.bytesRead - seen
    seen = raw.socket.bytesRead
    if (!isOurTurn && received < limits.minBytes) body.destroy(new RequestTimeoutError())
  }, limits.windowMs)
  // Whoever reads the body later finds the error there; until then nobody listens.
  body.on('error', () => undefined)
  raw.pipe(body)
  const end = (): void => clearInterval(timer)
  raw.once('end', end).once('close', () => {
    end()
    if (!raw.readableEnded) body.destroy(cutShort())
  })
  body.once('close', () => {
    end()
    raw.unpipe(body)
  })
  return body
}
