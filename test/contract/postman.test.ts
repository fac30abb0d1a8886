import { createContext, runInContext } from 'node:vm'

import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp } from '../support/app.ts'

interface Item {
  name: string
  event: { listen: string; script: { exec: string[] } }[]
  request: {
    method: string
    url: { raw: string }
    auth?: { type: string; apikey?: { key: string; value: string }[] }
    header?: { key: string; value: string }[]
    body?: { mode: string; raw?: string; urlencoded?: { key: string; value: string }[] }
  }
}

interface Collection {
  event: Item['event']
  auth: Item['request']['auth']
  item: Item[]
}

let test: TestApp
let collection: Collection
beforeAll(async () => {
  test = await startTestApp()
  collection = (await test.inject({ method: 'GET', url: '/api/postman.json' })).json<Collection>()
})
afterAll(() => test.close())

it('runs in order against a fresh server, every request with the answer it announces', async () => {
  const variables = new Map<string, string>()
  const outcomes: string[] = []

  for (const item of collection.item) {
    runScripts(collection.event, variables)
    const response = await test.inject(requestOf(item, variables))
    outcomes.push(...runScripts(item.event, variables, response).map((failure) => `${item.name}: ${failure}`))
  }

  expect(outcomes).toEqual([])
  expect(collection.item.length).toBeGreaterThan(40)
  expect(variables.get('token')).toMatch(/\S{20,}/)
})

function requestOf({ request }: Item, variables: Map<string, string>): InjectOptions {
  const fill = (text: string): string =>
    text.replaceAll(/\{\{(\w+)\}\}/g, (_match, name: string) => variables.get(name) ?? '')
  const auth = request.auth ?? collection.auth
  const token = auth?.apikey?.find(({ key }) => key === 'value')?.value
  const form = request.body?.urlencoded?.map(({ key, value }): [string, string] => [key, fill(value)])
  const headers = [
    ...(request.header ?? []).map(({ key, value }) => [key, value]),
    ...(token === undefined ? [] : [['authorization', fill(token)]]),
  ]
  if (form !== undefined) headers.push(['content-type', 'application/x-www-form-urlencoded'])
  const payload = form === undefined ? request.body?.raw : new URLSearchParams(form).toString()
  return {
    method: request.method,
    url: fill(request.url.raw),
    headers: Object.fromEntries(headers) as Record<string, string>,
    ...(payload === undefined ? {} : { payload: fill(payload) }),
  }
}

/** As much of Postman's scripts as the collection uses; returns the failed tests. */
function runScripts(
  events: Item['event'],
  variables: Map<string, string>,
  response?: { statusCode: number; body: string },
): string[] {
  const failures: string[] = []
  const pm = {
    collectionVariables: {
      get: (name: string) => variables.get(name),
      set: (name: string, value: unknown) => variables.set(name, String(value)),
    },
    response: { code: response?.statusCode, json: () => JSON.parse(response?.body ?? '') as unknown },
    expect: (list: number[]) => ({
      to: {
        include: (value: number) => {
          if (!list.includes(value)) throw new Error(`was ${value}: ${response?.body.slice(0, 300)}`)
        },
      },
    }),
    test: (name: string, check: () => void) => {
      try {
        check()
      } catch (error) {
        failures.push(`${name}, ${(error as Error).message}`)
      }
    },
  }
  const context = createContext({ pm })
  for (const { script } of events) runInContext(script.exec.join('\n'), context)
  return failures
}
