import { expect, it } from 'vitest'

import { ForbiddenError, InvalidError, TooManyRequestsError, UnauthenticatedError } from '../errors.ts'
import { problemBody, problemStatus, toProblem } from './problem.ts'

it('writes the members that RFC 9457 and the five older clients read', () => {
  const problem = toProblem(new ForbiddenError('Not yours.'))

  const body = problemBody(problem, {})

  expect(body).toEqual({
    type: 'about:blank',
    title: 'Forbidden',
    status: 403,
    detail: 'Not yours.',
    error: 'Not yours.',
    message: 'Not yours.',
    code: 'forbidden',
  })
})

it('challenges with Bearer and never with Basic', () => {
  const { headers } = toProblem(new UnauthenticatedError())

  expect(headers).toEqual({ 'www-authenticate': 'Bearer' })
})

it('gives Retry-After in whole seconds, at least one', () => {
  const { headers } = toProblem(new TooManyRequestsError('Too often.', 0.2))

  expect(headers).toEqual({ 'retry-after': '1' })
})

it('repeats field errors at the top level where the route asks for it, except under reserved names', () => {
  const problem = toProblem(InvalidError.fields({ username: ['Taken.'], title: ['Too long.'] }))

  const body = problemBody(problem, { flatFieldErrors: true })

  expect(body).toMatchObject({ username: ['Taken.'], title: 'Bad Request', detail: 'Taken.' })
  expect(body.errors).toEqual({ username: ['Taken.'], title: ['Too long.'] })
})

it('keeps extension members and lets none replace a member of its own', () => {
  const problem = toProblem(new InvalidError('Wrong.', { extensions: { oldest: 4, detail: 'other' } }))

  const body = problemBody(problem, {})

  expect(body).toMatchObject({ oldest: 4, detail: 'Wrong.' })
})

it.each([
  ['field errors', InvalidError.fields({ email: ['Taken.'] }), 409],
  ['a body that is no object', InvalidError.fields({ non_field_errors: ['Expected an object.'] }), 400],
  ['a body that is no JSON', new InvalidError('The body is not valid JSON.'), 400],
  ['another error', new ForbiddenError(), 403],
])('with invalidStatus 409 answers %s with the right status', (_name, error, status) => {
  expect(problemStatus(toProblem(error), { invalidStatus: 409 })).toBe(status)
})

it.each([
  ['the code of the error', new InvalidError('No.', { code: 'invalid_grant' }), 'invalid_grant'],
  ['a missing field', InvalidError.fields({ token: ['This field is required.'] }), 'invalid_request'],
  ['an unknown error', new Error('boom'), 'server_error'],
  ['a refused media type', frameworkError('FST_ERR_CTP_INVALID_MEDIA_TYPE', 415), 'invalid_request'],
])('in the oauth format names %s', (_name, error, word) => {
  expect(problemBody(toProblem(error), { errorFormat: 'oauth' }).error).toBe(word)
})

it('tells nothing of an unknown error', () => {
  const body = problemBody(toProblem(new Error('password of db is 1234')), {})

  expect(body).toMatchObject({ status: 500, detail: 'An unexpected error occurred.' })
  expect(JSON.stringify(body)).not.toContain('1234')
})

it.each([
  ['connection refused', { code: 'ECONNREFUSED' }, 503],
  ['missing socket', { code: 'ENOENT', syscall: 'connect' }, 503],
  ['missing file', { code: 'ENOENT', syscall: 'open' }, 500],
  ['administrator shut down', { code: '57P01' }, 503],
  ['starting up', { code: '57P03' }, 503],
  ['too many connections', { code: '53300' }, 503],
  ['statement time-out', { code: '57014' }, 503],
  ['deadlock', { code: '40P01' }, 503],
  ['NUL in text', { code: '22021' }, 400],
  ['NUL in jsonb', { code: '22P05' }, 400],
  ['unique violation', { code: '23505' }, 500],
])('answers a database error (%s) with the right status', (_name, members, status) => {
  expect(toProblem(Object.assign(new Error('internal text'), members)).status).toBe(status)
})

it.each(['timeout exceeded when trying to connect', 'Connection terminated unexpectedly'])(
  'answers "%s" of the pool with 503',
  (text) => {
    const problem = toProblem(new Error(text))

    expect(problem.status).toBe(503)
    expect(Number(problem.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  },
)

function frameworkError(code: string, statusCode: number): Error {
  return Object.assign(new Error('text of the framework'), { code, statusCode })
}
