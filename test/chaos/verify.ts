import { onServer } from '../../bench/support/workbench.ts'
import type { LiveClient } from './live-client.ts'
import type { UnderFire } from './server-under-fire.ts'

export interface Evidence {
  databaseUrl: string
  server: UnderFire
  client: LiveClient
  mail: readonly { messageId: string; subject: string }[]
  /** Feed ids that the server said it had stored. */
  acknowledged: readonly string[]
  work: 'uploads' | 'import'
  until: (what: string, condition: () => Promise<boolean>, server: UnderFire) => Promise<void>
}

/** Waits for rest, then compares what was acknowledged, what is stored, what the log says, what the socket heard and what was mailed. */
export async function problemsOf(evidence: Evidence): Promise<string[]> {
  await waitForRest(evidence)
  const problems = await Promise.all([
    storedProblems(evidence),
    densityProblems(evidence.databaseUrl),
    announcementProblems(evidence),
    readerProblems(evidence.databaseUrl, 'the socket', evidence.client),
    mailProblems(evidence),
    leftoverProblems(evidence),
  ])
  return problems.flat()
}

async function waitForRest({ databaseUrl, server, client, work, until }: Evidence): Promise<void> {
  await until('every recorded change has its place', () => isSequenced(databaseUrl), server)
  const due = await mailsDue(databaseUrl, work)
  await until(`${due} mails have been handed over`, async () => (await count(databaseUrl, FINISHED)) >= due, server)
  await until('every mail has left', async () => (await count(databaseUrl, WAITING)) === 0, server)
  await until('the log has come to rest', () => isSequenced(databaseUrl), server)
  const head = await count(databaseUrl, 'SELECT max(position) AS count FROM changes')
  await until(`the socket has heard of position ${head}`, async () => client.position >= head, server)
}

export async function isSequenced(url: string): Promise<boolean> {
  const waiting = 'SELECT count(*) FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM changes c WHERE c.id = o.id)'
  return (await count(url, waiting)) === 0
}

export const WAITING = 'SELECT count(*) FROM deliveries'
const FINISHED = `SELECT (SELECT count(*) FROM deliveries_succeeded) + (SELECT count(*) FROM deliveries_failed) AS count`

/** One mail per created product; one for an upload that created nothing, and one for an import as a whole. */
async function mailsDue(url: string, work: Evidence['work']): Promise<number> {
  // A request whose connection was lost is sent again, and may then have begun two.
  if (work === 'import') return count(url, 'SELECT count(*) FROM imports')
  const perUpload = `SELECT coalesce(sum(CASE WHEN created_count > 0 THEN created_count
    WHEN existing_count + problematic_count > 0 THEN 1 ELSE 0 END), 0) AS count FROM uploads WHERE failure IS NULL`
  return count(url, perUpload)
}

/** Acknowledged = stored, each once. */
async function storedProblems({ databaseUrl, acknowledged }: Evidence): Promise<string[]> {
  const rows = await onServer<{ feed_id: string }>(databaseUrl, 'SELECT feed_id FROM products WHERE deleted IS NULL')
  const stored = rows.map((row) => row.feed_id)
  return [
    ...without(acknowledged, stored).map((id) => `lost: ${id} was acknowledged and is not stored`),
    ...without(stored, acknowledged).map((id) => `invented: ${id} is stored and was never acknowledged`),
  ]
}

/** Positions are dense. */
export async function densityProblems(databaseUrl: string): Promise<string[]> {
  const [bounds] = await onServer<{ first: string; last: string; count: string }>(
    databaseUrl,
    'SELECT min(position) AS first, max(position) AS last, count(*) FROM changes',
  )
  const isDense = Number(bounds!.last) - Number(bounds!.first) + 1 === Number(bounds!.count)
  return isDense ? [] : [`the log has a hole between ${bounds!.first} and ${bounds!.last}`]
}

/** Each stored product is announced by exactly one change. */
async function announcementProblems({ databaseUrl }: Evidence): Promise<string[]> {
  const announced = await onServer<{ id: string; times: string }>(
    databaseUrl,
    `SELECT p.id, count(a.id) AS times
       FROM products p
       LEFT JOIN (SELECT jsonb_array_elements(data -> 'products') ->> 'id' AS id
         FROM changes WHERE topic = 'catalog.products.imported') a ON a.id = p.id::text
      GROUP BY p.id HAVING count(a.id) <> 1`,
  )
  return announced.map((row) => `product ${row.id} is announced ${row.times} times`)
}

/** What a reader of the log was told. */
export interface Reader {
  seen: readonly { position: number; id: string }[]
  /** Where it began: it hears of what comes after this position. */
  start: number
  /** Times it was told that it has missed something. */
  gaps: number
}

/** It heard every change after its first position, once, in order, and nothing else. */
export async function readerProblems(databaseUrl: string, name: string, client: Reader): Promise<string[]> {
  const positions = client.seen.map((change) => change.position)
  const isOrdered = positions.every((position, n) => n === 0 || position > positions[n - 1]!)
  const rows = await onServer<{ id: string; position: string }>(databaseUrl, 'SELECT id, position FROM changes')
  const committed = rows.filter((row) => Number(row.position) > client.start).map((row) => row.id)
  const heard = client.seen.map((change) => change.id)
  return [
    ...(isOrdered ? [] : [`${name} heard positions out of order or twice`]),
    ...(client.gaps === 0 ? [] : [`${name} was told of ${client.gaps} gaps`]),
    ...without(committed, heard).map((id) => `${name} never heard of change ${id}`),
    ...without(heard, committed).map((id) => `${name} heard of change ${id}, which is not in the log`),
  ]
}

/** Every mail that was due arrived, the same Message-ID at most once more per crash. */
async function mailProblems({ databaseUrl, mail, work, server }: Evidence): Promise<string[]> {
  const expected = await mailsDue(databaseUrl, work)
  const times = new Map<string, number>()
  for (const { messageId } of mail) times.set(messageId, (times.get(messageId) ?? 0) + 1)
  const repeated = [...times].filter(([, n]) => n > 1 + server.deaths)
  return [
    ...(times.size === expected ? [] : [`${expected} mails were due, ${times.size} different ones arrived`]),
    ...repeated.map(([id, n]) => `mail ${id} arrived ${n} times after ${server.deaths} deaths`),
  ]
}

export async function leftoverProblems({ databaseUrl }: { databaseUrl: string }): Promise<string[]> {
  const parked = await count(databaseUrl, 'SELECT count(*) FROM parked_changes')
  const failed = await count(databaseUrl, 'SELECT count(*) FROM deliveries_failed')
  return [
    ...(parked === 0 ? [] : [`${parked} changes were parked`]),
    ...(failed === 0 ? [] : [`${failed} mails were given up`]),
  ]
}

/** Members of `left` that `right` does not have, counted: a second occurrence needs a second partner. */
export function without(left: readonly string[], right: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const word of right) counts.set(word, (counts.get(word) ?? 0) + 1)
  return left.filter((word) => {
    const n = counts.get(word) ?? 0
    counts.set(word, n - 1)
    return n <= 0
  })
}

export async function count(url: string, text: string): Promise<number> {
  const [row] = await onServer<{ count: string }>(url, text)
  return Number(row!.count)
}
