import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { feedHead, feedItem, feedTail } from '../../bench/support/feed.ts'
import { findEmbeddedPostgres } from '../../src/platform/db/embedded.ts'
import { LiveClient } from './live-client.ts'
import { startMailReceiver } from './mail-receiver.ts'
import type { FaultPoint } from './points.ts'
import { startServerUnderFire, type ServerUnderFire, type UnderFire } from './server-under-fire.ts'
import { problemsOf } from './verify.ts'

const UPLOADS = 8
const ITEMS_PER_UPLOAD = 3
/** Three checkpoints of 1,000 items. */
const IMPORT_ITEMS = 3000
const RESTARTS = 3
/** While the uploads run, which take about a second without them. */
const RESTART_AFTER_MS = 100

/** What is done here while the server dies; the store has a journey of its own. */
export type Work = Exclude<FaultPoint['work'], 'store'>

export interface Outcome {
  deaths: number
  /** Empty when nothing was lost, invented, reordered or doubled beyond its bound. */
  problems: string[]
}

/** Runs the work of a point in a server that kills itself at the given pass of it, brings it back, lets it finish, and counts. */
export async function runPoint(
  folder: string,
  databaseUrl: string,
  point: FaultPoint & { work: Work },
  pass: number,
): Promise<Outcome> {
  const fault = `${point.name}:${pass}`
  return journey({ folder, databaseUrl, fault, work: point.work, duringWork: async () => undefined })
}

/** The same work with a kill -9 from outside after a random time. */
export async function runRandomKill(folder: string, databaseUrl: string, work: Work, ms: number): Promise<Outcome> {
  const duringWork = async (server: ServerUnderFire): Promise<void> => {
    await wait(ms)
    server.kill()
  }
  return journey({ folder, databaseUrl, fault: undefined, work, duringWork })
}

/** Uploads while the embedded PostgreSQL under the server is ended several times: the server stays, the database comes back. */
export async function runDatabaseRestarts(folder: string, signal: 'SIGKILL' | 'SIGINT'): Promise<Outcome> {
  let restarts = 0
  const duringWork = async (server: ServerUnderFire): Promise<void> => {
    for (let n = 0; n < RESTARTS; n++) {
      await wait(RESTART_AFTER_MS)
      const ended = (await findPostmaster(server.dataDir))!
      process.kill(ended, signal)
      restarts += 1
      // One that is ending still answers for a moment, and the next end must meet a running database.
      await until('another PostgreSQL runs', async () => isOther(await findPostmaster(server.dataDir), ended), server)
      await server.request('/readyz')
    }
  }
  const outcome = await journey({ folder, databaseUrl: undefined, fault: undefined, work: 'uploads', duringWork })
  const died = outcome.deaths === 0 ? [] : ['the server died with its database']
  const spared = restarts === RESTARTS ? [] : [`the database was ended ${restarts} times only`]
  return { deaths: outcome.deaths, problems: [...outcome.problems, ...died, ...spared] }
}

/** Undefined between two, or while its file is being written. */
async function findPostmaster(dataDir: string): Promise<number | undefined> {
  const file = await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(file.split('\n')[0])
  return pid > 0 ? pid : undefined
}

function isOther(pid: number | undefined, ended: number): boolean {
  return pid !== undefined && pid !== ended
}

interface Journey {
  folder: string
  /** Absent: the embedded database of the server itself. */
  databaseUrl: string | undefined
  fault: string | undefined
  work: Work
  duringWork: (server: ServerUnderFire) => Promise<void>
}

async function journey({ folder, databaseUrl, fault, work, duringWork }: Journey): Promise<Outcome> {
  const mail = await startMailReceiver()
  const server = await startServerUnderFire({
    folder,
    databaseUrl,
    faults: fault === undefined ? [] : [fault],
    env: { SMTP_URL: mail.url },
  })
  const token = await signIn(server)
  const client = new LiveClient(() => server.url, token)
  try {
    await until('the live client is subscribed', async () => client.position >= 0, server)
    const interference = duringWork(server)
    const acknowledged = work === 'uploads' ? await upload(server, token) : await importFile(server, token)
    await interference
    await server.revive()
    const url = databaseUrl ?? (await findEmbeddedPostgres(server.dataDir))!
    const problems = await problemsOf({
      databaseUrl: url,
      server,
      client,
      mail: mail.received,
      acknowledged,
      work,
      until,
    })
    return { deaths: server.deaths, problems: [...problems, ...server.strangeEnds] }
  } finally {
    client.close()
    try {
      await server.stop()
    } finally {
      await mail.close()
    }
  }
}

async function signIn(server: ServerUnderFire): Promise<string> {
  const response = await server.request('/api/auth/login/', () => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'chaos', password: 'chaos-password' }),
  }))
  return ((await response.json()) as { token: string }).token
}

/** Uploads small feeds one after the other and returns the feed ids that the server acknowledged. */
async function upload(server: ServerUnderFire, token: string): Promise<string[]> {
  const acknowledged: string[] = []
  for (let n = 0; n < UPLOADS; n++) {
    const items = Array.from({ length: ITEMS_PER_UPLOAD }, (_, i) => feedItem(n * ITEMS_PER_UPLOAD + i)).join('')
    const response = await server.request('/upload-products/', () => {
      const form = new FormData()
      form.set('file', new Blob([feedHead, items, feedTail], { type: 'application/xml' }), `feed-${n}.xml`)
      return { method: 'POST', headers: { authorization: `Token ${token}` }, body: form }
    })
    if (response.status !== 201) throw new Error(`upload answered ${response.status}: ${await response.text()}`)
    const answer = (await response.json()) as { created_product_ids: string[]; existing_product_ids: string[] }
    acknowledged.push(...answer.created_product_ids, ...answer.existing_product_ids)
  }
  return acknowledged
}

async function importFile(server: ServerUnderFire, token: string): Promise<string[]> {
  // In a folder of its own: a file that another run writes anew cannot be read to its end.
  const path = join(server.dataDir, 'chaos-import.xml')
  const numbers = Array.from({ length: IMPORT_ITEMS }, (_, n) => n)
  await writeFile(path, feedHead + numbers.map(feedItem).join('') + feedTail)
  const { openAsBlob } = await import('node:fs')
  const file = await openAsBlob(path)
  const headers = { authorization: `Token ${token}` }
  const started = await server.request('/api/imports/', () => {
    const form = new FormData()
    form.set('file', file, 'feed.xml')
    return { method: 'POST', headers, body: form }
  })
  if (started.status !== 202) throw new Error(`import answered ${started.status}: ${await started.text()}`)
  await until(
    'the import has succeeded',
    async () => {
      const jobs = await server.request('/api/imports/', () => ({ headers }))
      const { data } = (await jobs.json()) as { data: { state: string }[] }
      return data.every(({ state }) => state === 'succeeded')
    },
    server,
  )
  return numbers.map((n) => `${n}_${n % 977}`)
}

const PATIENCE_MS = 60_000
/** A look costs a connection to the database, and others run beside this. */
const LOOK_MS = 100

/** Waits for a condition, bringing the server back whenever it has died. */
export async function until(what: string, condition: () => Promise<boolean>, server: UnderFire): Promise<void> {
  const limit = Date.now() + PATIENCE_MS
  while (Date.now() < limit) {
    await server.revive()
    if (await condition()) return
    await wait(LOOK_MS)
  }
  throw new Error(`waited ${PATIENCE_MS / 1000} s in vain: ${what}`)
}
