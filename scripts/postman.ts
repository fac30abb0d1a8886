import { writeFile } from 'node:fs/promises'

import { pino } from 'pino'

import { assemble } from '../src/app.ts'
import { systemClock } from '../src/platform/clock.ts'
import { loadConfig } from '../src/platform/config.ts'
import { createDb } from '../src/platform/db/db.ts'
import { buildPostman } from '../src/platform/http/postman.ts'

const usage = `npm run postman [-- FILE [BASE_URL]]

Writes the Postman collection to FILE, or to the terminal. No server or database is needed.`

/** The Postman collection, to a file or to the terminal. No database is needed: nothing is started. */
async function main([file, baseUrl]: string[]): Promise<void> {
  if (file?.startsWith('-') === true) {
    console.log(usage)
    process.exitCode = ['-h', '--help'].includes(file) ? 0 : 1
    return
  }
  const log = pino({ level: 'silent' })
  const config = loadConfig({ SECRET_KEY: 'only to assemble the routes', LOG_LEVEL: 'silent' })
  const db = createDb({ url: 'postgres://127.0.0.1/none', poolSize: 2, applicationName: 'souk postman', log })
  const { app } = await assemble({ config, db, clock: systemClock, log, role: 'api' })
  if (app === undefined) throw new Error('the api role has no HTTP server')
  await app.ready()
  const collection = `${JSON.stringify(buildPostman(app.openapi(), baseUrl), undefined, 2)}\n`
  await app.close()
  await db.close()
  if (file === undefined) process.stdout.write(collection)
  else await writeFile(file, collection)
}

await main(process.argv.slice(2))
