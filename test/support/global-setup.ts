import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import type { TestProject } from 'vitest/node'

import { dropTemplates, prepareTemplate } from './template.ts'

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string
    templateName: string
  }
}

/** One PostgreSQL for the whole run: the server at TEST_DATABASE_URL, or an embedded one in a temporary folder. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_DATABASE_URL
  const server = given === undefined ? await startTemporaryServer() : { url: given, stop: async () => undefined }
  const templateName = await prepareTemplate(server.url)
  project.provide('databaseUrl', server.url)
  project.provide('templateName', templateName)

  return async () => {
    if (given !== undefined) await dropTemplates(server.url, templateName)
    await server.stop()
  }
}

async function startTemporaryServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'souk-test-'))
  const { startEmbeddedPostgres } = await import('../../src/platform/db/embedded.ts')
  const server = await startEmbeddedPostgres({ dataDir, log: pino({ level: 'silent' }), durable: false })
  return {
    url: server.url,
    stop: async () => {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
