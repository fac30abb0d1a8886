import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Socket } from 'node:net'
import { STATUS_CODES } from 'node:http'

import { hasBody } from './body-parser.ts'
import { problemBody, problemStatus, toProblem, type Problem, type ProblemStyle } from './problem.ts'
import { deferClose } from './read-body.ts'
import { RAW_HEADERS } from './response-headers.ts'

const PROBLEM_TYPE = 'application/problem+json'

/**
 * Turns whatever was thrown into the answer that the contracts promise; what the client must not know goes to the log. The style is that
 * of the route, which has to be named when the request has reached none.
 */
export function sendProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  style: ProblemStyle = request.routeOptions.config ?? {},
): void {
  const problem = toProblem(error)
  logProblem(error, problem, request)
  const isOauth = style.errorFormat === 'oauth'
  // Fastify closes after a body it could not read; we take the rest instead (`discardRest`), so that the client can read this answer.
  if (problem.status !== 408 && reply.hasHeader('connection')) reply.removeHeader('connection')
  if (problem.status !== 408 && hasBody(request)) deferClose(request.raw, reply.raw)
  if (reply.hasHeader('content-length')) reply.removeHeader('content-length')
  reply
    .code(problemStatus(problem, style))
    .headers(problem.headers)
    .type(isOauth ? 'application/json' : PROBLEM_TYPE)
    .send(JSON.stringify(problemBody(problem, style)))
}

function logProblem(error: unknown, problem: Problem, request: FastifyRequest): void {
  if (problem.status === 500) request.log.error({ err: error }, 'unexpected error')
  else if (problem.status === 503) request.log.warn({ err: error }, 'unavailable')
}

const CLIENT_ERRORS: Record<string, { status: number; detail: string }> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, detail: 'The request did not arrive in time.' },
  HPE_HEADER_OVERFLOW: { status: 431, detail: 'The request line or the headers are too long.' },
}

/** Answers bytes that are no HTTP request, before there is one to answer. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, detail } = CLIENT_ERRORS[error.code ?? ''] ?? {
    status: 400,
    detail: 'This is not a valid HTTP request.',
  }
  const body = JSON.stringify(problemBody({ status, code: 'bad_request', detail, extensions: {}, headers: {} }, {}))
  const headers = {
    ...RAW_HEADERS,
    'content-type': PROBLEM_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy())
}
