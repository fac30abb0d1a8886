import { createReadStream, createWriteStream, openAsBlob } from 'node:fs'
import { Agent } from 'node:http'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'

import { writeFeedFile } from '../support/feed.ts'
import { closedLoop, send } from '../support/load.ts'
import type { ServerProcess } from '../support/processes.ts'
import { atLeast, below, ratioOf, type Measurement, type Scenario, type Sizes } from '../support/scenario.ts'
import { latency, median } from '../support/stats.ts'
import { importFeed, onServer, openWorkbench, signIn, type Workbench } from '../support/workbench.ts'

/** The tables that an import fills, one row of each per item. */
const TABLES = ['products', 'stock_levels', 'product_search']
/** Filled in the background for as many products as there was time for: not what an import stores. */
const NOT_IMPORTED = ['words']
const READS_PER_SECOND = 20
const UPLOADS = 5
/** The server's own histogram measures from one firing of a timer to the next; this much of it is the timer's interval. */
const LAG_TIMER_MS = 10
const LONGEST_BLOCK_MS = 20

/**
 * Background imports of 10 thousand and 1 million items beside COPY of the same rows into the same tables with the same indexes, and how long
 * these and uploads hold the event loop of the server.
 */
export const feedScenario: Scenario = {
  name: 'feed',
  async run(sizes) {
    const bench = await openWorkbench()
    try {
      const counts = sizes.isSmoke ? [1000] : [10_000, 1_000_000]
      const lines: Measurement[] = []
      for (const count of counts) lines.push(...(await measureImport(bench, count, sizes)))
      lines.push(...(await measureUploads(bench, sizes.isSmoke ? [100] : [1000, 10_000])))
      return lines
    } finally {
      await bench.close()
    }
  },
}

async function measureImport(bench: Workbench, count: number, sizes: Sizes): Promise<Measurement[]> {
  const feed = join(bench.folder, `feed-${count}.xml`)
  await writeFeedFile(feed, count)
  const databaseUrl = await bench.createDatabase()
  const server = await bench.startSouk(databaseUrl)
  try {
    const headers = await signIn(server.url)
    // A few items and reads first, so that code, connections and plans are warm and the growth seen is that of the import.
    const warm = join(bench.folder, `warm-${count}.xml`)
    await writeFeedFile(warm, 500, count)
    await importFeed(server.url, headers, warm)
    await closedLoop({ url: `${server.url}/list-products/?page_size=20`, headers }, 4, sizes.seconds)
    const watch = watchWhile(server, headers)
    const seconds = await importFeed(server.url, headers, feed)
    const seen = await watch.stop()
    const copySeconds = await timeCopy(bench, databaseUrl)

    const at = `${count.toLocaleString('en')} items`
    const megabytes = ((await stat(feed)).size / 1024 ** 2).toFixed(0)
    const speed = atLeast(`import of ${at} (${megabytes} MB)`, 'items/s', count / seconds, 5000)
    const lines = [speed, ratioOf(`import of ${at} against COPY`, 'items/s', count / seconds, count / copySeconds, 0.4)]
    if (sizes.isSmoke || count < 1_000_000) return lines
    return [
      ...lines,
      below(`memory growth during the import of ${at}`, 'MB', seen.growthBytes / 1024 ** 2, 64),
      below(`reads during the import of ${at}, p99`, 'ms', seen.readP99, 50),
      {
        ...below(
          `longest block of the event loop in a second of that import`,
          'ms',
          median(seen.blocks),
          LONGEST_BLOCK_MS,
        ),
        note: `median of ${seen.blocks.length} s; p95 ${latency(seen.blocks).p95.toFixed(1)}, longest ${Math.max(...seen.blocks).toFixed(1)} ms`,
      },
    ]
  } finally {
    await server.stop()
  }
}

/** How long uploads of so many items, each answered when they are stored, hold the event loop. */
async function measureUploads(bench: Workbench, counts: readonly number[]): Promise<Measurement[]> {
  const server = await bench.startSouk(await bench.createDatabase())
  try {
    const headers = await signIn(server.url)
    const lines: Measurement[] = []
    for (const count of counts) lines.push(await measureUpload(bench, server.url, headers, count))
    return lines
  } finally {
    await server.stop()
  }
}

async function measureUpload(
  bench: Workbench,
  url: string,
  headers: Record<string, string>,
  count: number,
): Promise<Measurement> {
  const blocks: number[] = []
  // The first one is not counted: it meets code that has never run.
  for (let round = 0; round <= UPLOADS; round++) {
    const feed = join(bench.folder, `upload-${count}-${round}.xml`)
    await writeFeedFile(feed, count, round * count)
    await longestBlock(url)
    await upload(url, headers, feed)
    const block = await longestBlock(url)
    if (round > 0) blocks.push(block)
  }
  const what = `longest block of the event loop in an upload of ${count.toLocaleString('en')} items`
  const note = `median of ${blocks.length}; longest ${Math.max(...blocks).toFixed(1)} ms`
  return { ...below(what, 'ms', median(blocks), LONGEST_BLOCK_MS), note }
}

async function upload(url: string, headers: Record<string, string>, path: string): Promise<void> {
  const form = new FormData()
  form.set('file', await openAsBlob(path), 'feed.xml')
  const response = await fetch(`${url}/upload-products/`, { method: 'POST', headers, body: form })
  const text = await response.text()
  if (!response.ok) throw new Error(`upload answered ${response.status}: ${text.slice(0, 500)}`)
}

/** Milliseconds of the longest time that the event loop of the server was held since this was last asked; what else ran on the processor counts. */
async function longestBlock(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const seconds = Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(text)?.[1])
  return Math.max(0, seconds * 1000 - LAG_TIMER_MS)
}

/** Samples memory and the event loop, and reads list pages at a steady pace whether or not earlier ones are answered, while something else runs. */
function watchWhile(server: ServerProcess, headers: Record<string, string>) {
  const target = { url: `${server.url}/list-products/?page_size=20`, headers }
  const agent = new Agent({ keepAlive: true })
  const before = server.residentBytes()
  const times: number[] = []
  const blocks: number[] = []
  const failures: unknown[] = []
  let highest = before

  async function read(): Promise<void> {
    const started = performance.now()
    const status = await send(target, agent, 0)
    times.push(performance.now() - started)
    if (status !== 200) failures.push(status)
  }

  const timer = setInterval(() => {
    highest = Math.max(highest, server.residentBytes())
    read().catch((error: unknown) => failures.push(error))
  }, 1000 / READS_PER_SECOND)
  const seconds = setInterval(() => {
    longestBlock(server.url).then(
      (block) => blocks.push(block),
      (error: unknown) => failures.push(error),
    )
  }, 1000)

  return {
    stop: async () => {
      clearInterval(timer)
      clearInterval(seconds)
      await new Promise((resolve) => setTimeout(resolve, 500))
      agent.destroy()
      if (failures.length > 0) throw new Error(`${failures.length} reads failed, the first with ${String(failures[0])}`)
      return { growthBytes: highest - before, readP99: latency(times).p99, blocks }
    },
  }
}

/** Seconds that COPY needs to load the rows the import made into empty copies of its tables, indexes and checks included. */
async function timeCopy(bench: Workbench, databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  let seconds = 0
  try {
    for (const table of TABLES) {
      const list = (await plainColumns(databaseUrl, table)).join(', ')
      const file = join(bench.folder, `${table}.copy`)
      await client.query(`CREATE TABLE bare_${table} (LIKE ${table} INCLUDING ALL)`)
      await pipeline(client.query(copyTo(`COPY ${table} (${list}) TO STDOUT (FORMAT binary)`)), createWriteStream(file))
      const started = performance.now()
      await pipeline(
        createReadStream(file),
        client.query(copyFrom(`COPY bare_${table} (${list}) FROM STDIN (FORMAT binary)`)),
      )
      seconds += (performance.now() - started) / 1000
    }
  } finally {
    await client.end()
  }
  return seconds
}

async function plainColumns(databaseUrl: string, table: string): Promise<string[]> {
  const rows = await onServer<{ column_name: string }>(
    databaseUrl,
    `SELECT column_name FROM information_schema.columns
      WHERE table_name = $1 AND table_schema = 'public' AND is_generated = 'NEVER' AND column_name <> ALL ($2)
      ORDER BY ordinal_position`,
    [table, NOT_IMPORTED],
  )
  return rows.map((row) => row.column_name)
}
