import { AsyncLocalStorage } from 'node:async_hooks'

import type { InjectOptions, LightMyRequestResponse } from 'fastify'

import { startTestApp, type TestApp } from '../support/app.ts'
import type { SentStatement } from './plans.ts'

export interface CountedApp {
  test: TestApp
  /** Sends the request and hears the statements that are sent for it, and not those of services beside it. */
  count(request: InjectOptions): Promise<{ response: LightMyRequestResponse; sent: SentStatement[] }>
}

/** Beside the statements counted here the database hears BEGIN and COMMIT of each transaction, and COPY of the rows of a feed. */
export async function startCountedApp(): Promise<CountedApp> {
  const counted = new AsyncLocalStorage<SentStatement[]>()
  const test = await startTestApp({
    role: 'api',
    onStatement: (text, values) => counted.getStore()?.push({ text, values }),
    env: { OAUTH_CLIENT_ID: 'budget', OAUTH_CLIENT_SECRET: 'budget-secret' },
  })
  return {
    test,
    count: async (request) => {
      const sent: SentStatement[] = []
      const response = await counted.run(sent, () => test.inject(request))
      return { response, sent: [...sent] }
    },
  }
}
