import { setTimeout as wait } from 'node:timers/promises'

import type { LightMyRequestResponse } from 'fastify'

import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { item as feedItem, multipart } from './product-feed-fixtures.ts'

export interface Import {
  id: string
  state: string
  [member: string]: unknown
}

/** A server with the people of these tests and the few calls they make. */
export interface ImportBench {
  server: TestApp
  seller: TestUser
  stranger: TestUser
  staff: TestUser
  post(body: string | Buffer, query?: string, type?: string, user?: TestUser): Promise<LightMyRequestResponse>
  get(path: string, user?: TestUser): Promise<LightMyRequestResponse>
  /** Waits for the end of an import. */
  ended(id: string): Promise<Import>
  /** Requests an import and waits for its end. */
  run(body: string | Buffer, query?: string, type?: string, user?: TestUser): Promise<Import>
  product(id: string): Promise<LightMyRequestResponse>
}

const PATIENCE_MS = 15_000

export async function startImportBench(env: Record<string, string> = {}): Promise<ImportBench> {
  const server = await startTestApp({ env })
  const seller = await server.signUp()
  const stranger = await server.signUp()
  const staff = await server.staff({ superuser: true })

  const post: ImportBench['post'] = (body, query = '', type = 'application/xml', user = seller) => {
    const headers = { ...user.headers, 'content-type': type }
    return server.inject({ method: 'POST', url: `/api/imports/${query}`, headers, payload: body })
  }
  const get: ImportBench['get'] = (url, user = seller) => server.inject({ method: 'GET', url, headers: user.headers })

  async function ended(id: string): Promise<Import> {
    const limit = Date.now() + PATIENCE_MS
    while (Date.now() < limit) {
      const job = (await get(`/api/imports/${id}/`, staff)).json<Import>()
      if (['succeeded', 'failed', 'cancelled'].includes(job.state)) return job
      await wait(20)
    }
    throw new Error('the import did not end')
  }

  const run: ImportBench['run'] = async (...request) => {
    const response = await post(...request)
    if (response.statusCode !== 202) throw new Error(`answered ${response.statusCode}: ${response.body}`)
    return ended(response.json<Import>().id)
  }
  return { server, seller, stranger, staff, post, get, ended, run, product: (id) => get(`/product-detail/${id}/`) }
}

/** One item on one line, so that item n of a feed is on line n + 1. */
export function item(id: string, change: Record<string, string> = {}): string {
  const elements = Object.entries(change).map(([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`)
  return feedItem(id, elements.join('')).replaceAll('\n', ' ')
}

export function form(...parts: Buffer[]): { body: Buffer; type: string } {
  const { headers, payload } = multipart(...parts)
  return { body: payload, type: headers['content-type'] }
}
