import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startTestApp, type TestApp } from '../support/app.ts'

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const SOME_ID = '0193a000-0000-7000-8000-000000000001'

let app: TestApp
let paths: Record<string, Record<string, unknown>>

beforeAll(async () => {
  app = await startTestApp({ role: 'api' })
  paths = (await app.inject({ method: 'GET', url: '/api/openapi.json' })).json<{ paths: typeof paths }>().paths
})

afterAll(() => app.close())

/** Every path of the document with every method that it does not have there. */
function undocumented(): { method: (typeof METHODS)[number]; url: string; allow: string[] }[] {
  return Object.entries(paths).flatMap(([path, operations]) => {
    const allow = METHODS.filter((method) => method.toLowerCase() in operations)
    const url = path.replaceAll(/\{\w+\}/g, SOME_ID)
    return METHODS.filter((method) => !allow.includes(method)).map((method) => ({ method, url, allow }))
  })
}

describe('a method that a path does not have', () => {
  it('is answered with 405 and the methods that it has, before a credential is asked for', async () => {
    const asked = undocumented()
    const answers = await Promise.all(
      asked.map(async ({ method, url, allow }) => {
        // Past the guard of the document, which has no such operations; those of OAuth2 have errors of their own form.
        const { statusCode, headers } = await app.app.inject({ method, url })
        const named = String(headers['allow']).split(', ')
        return {
          method,
          url,
          statusCode,
          missing: allow.filter((one) => !named.includes(one)),
          isNamed: named.includes(method),
        }
      }),
    )

    expect(asked.length).toBeGreaterThan(100)
    expect(
      answers.filter(({ statusCode, missing, isNamed }) => statusCode !== 405 || missing.length > 0 || isNamed),
    ).toEqual([])
  })
})
