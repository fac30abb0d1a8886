import { randomBytes } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { WebSocket } from 'ws'

import { loadConfig, type Config } from '../platform/config.ts'
import { parseArguments, UsageError, type Command } from './command.ts'
import { demoFeed, demoItems, type DemoItem } from './demo-feed.ts'

const houses = ['Casa Lola', 'Atlas & Sons', 'Maison Verte', 'Nordlys', 'Bazar Azul']
const ITEMS_PER_HOUSE = 40
const PATIENCE_MS = 30_000

export const demoCommand: Command = {
  name: 'demo',
  summary: 'fill a running server with a marketplace and show a change arriving',
  help: `Usage: souk demo [--url http://127.0.0.1:8000]

Signs up sellers and imports their feeds through the public API of a running server, then uploads one more product and prints that
change as it arrives on a socket, and the mail that follows it in the local mailbox. Runs any number of times.`,
  async run(args) {
    const given = parseArguments({ args, options: { url: { type: 'string' } } }).values.url
    const config = loadConfig()
    const url = given ?? `http://${config.host === '0.0.0.0' ? '127.0.0.1' : config.host}:${config.port}`
    await requireRunning(url)
    const run = randomBytes(3).toString('hex')
    const sellers = await openHouses(url, run)
    await showArrival(url, config, sellers[0]!, run)
    return 0
  },
}

interface Seller {
  house: string
  headers: { authorization: string }
}

async function requireRunning(url: string): Promise<void> {
  const isUp = await fetch(`${url}/healthz`).then(
    (response) => response.ok,
    () => false,
  )
  if (!isUp) throw new UsageError(`No Souk answers at ${url}. Start one with "npm start", or name another with --url.`)
}

/** Signs up one seller per house and imports its goods in the background. */
async function openHouses(url: string, run: string): Promise<Seller[]> {
  const sellers: Seller[] = []
  for (const [n, house] of houses.entries()) {
    const seller = await signUp(url, house, `demo-${run}-${n + 1}`)
    const items = demoItems(house, `demo-${run}-${n + 1}`, ITEMS_PER_HOUSE)
    const job = await post<{ id: string }>(`${url}/api/imports/`, seller, feedForm(items))
    const done = await importEnd(url, seller, job.id)
    say(`${house.padEnd(14)} signed up as demo-${run}-${n + 1}, ${done.created} products imported`)
    sellers.push(seller)
  }
  return sellers
}

async function signUp(url: string, house: string, username: string): Promise<Seller> {
  const account = {
    username,
    first_name: house,
    last_name: 'Demo',
    email: `${username}@example.com`,
    password: randomBytes(9).toString('base64url'),
  }
  await post(`${url}/api/users/`, undefined, account)
  const { token } = await post<{ token: string }>(`${url}/api/auth/login/`, undefined, account)
  return { house, headers: { authorization: `Token ${token}` } }
}

async function importEnd(url: string, seller: Seller, id: string): Promise<{ created: number }> {
  const limit = Date.now() + PATIENCE_MS
  while (Date.now() < limit) {
    const response = await fetch(`${url}/api/imports/${id}/`, { headers: seller.headers })
    const job = (await response.json()) as { state: string; created: number }
    if (job.state === 'succeeded') return job
    if (['failed', 'cancelled'].includes(job.state)) throw new UsageError(`The import ended as ${job.state}.`)
    await wait(100)
  }
  throw new UsageError('The import does not finish: is a worker running?')
}

/** Uploads one product and prints its change and its mail as they arrive. */
async function showArrival(url: string, config: Config, seller: Seller, run: string): Promise<void> {
  const socket = await listen(url, seller)
  const before = new Set(await mailbox(config))
  const [item] = demoItems(seller.house, `demo-${run}-live`, 1)
  say(`\nlistening on ${url.replace('http', 'ws')}/ws/changes/, uploading "${item!.title}" ...`)
  const started = performance.now()
  await post(`${url}/upload-products/`, seller, feedForm([item!]))
  const change = await socket.next()
  say(
    `\nthe change, ${Math.round(performance.now() - started)} ms after the upload began:\n${JSON.stringify(change, null, 2)}`,
  )
  socket.close()
  await showMail(config, before, item!)
}

async function showMail(config: Config, before: Set<string>, item: DemoItem): Promise<void> {
  if (config.mail.smtpUrl !== undefined || config.mail.smtpServer !== undefined) {
    return say('\nThe mail goes to the admins by SMTP, as the settings say.')
  }
  const limit = Date.now() + PATIENCE_MS
  while (Date.now() < limit) {
    for (const file of await mailbox(config)) {
      if (before.has(file)) continue
      const text = await readFile(join(config.dataDir, 'mailbox', file), 'utf8')
      if (text.includes(item.id))
        return say(`\nthe mail, in ${join(config.dataDir, 'mailbox', file)}:\n${headOf(text)}`)
    }
    await wait(100)
  }
  say('\nNo mail came: there is no superuser with an e-mail address, or no worker runs.')
}

async function mailbox(config: Config): Promise<string[]> {
  // One folder a day.
  const names = await readdir(join(config.dataDir, 'mailbox'), { recursive: true }).catch(() => [])
  return names.filter((name) => name.endsWith('.eml'))
}

function headOf(mail: string): string {
  const lines = mail.split(/\r?\n/)
  return lines.filter((line) => /^(From|To|Subject|Date|Message-ID):/i.test(line)).join('\n')
}

async function listen(url: string, seller: Seller): Promise<{ next(): Promise<unknown>; close(): void }> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/changes/`, { headers: seller.headers })
  const arrived: unknown[] = []
  let isSubscribed = false
  socket.on('open', () => socket.send(JSON.stringify({ action: 'subscribe', topics: ['catalog.*'] })))
  socket.on('message', (raw: Buffer) => {
    const frame = JSON.parse(raw.toString()) as { type: string }
    if (frame.type === 'subscribed') isSubscribed = true
    if (frame.type === 'change') arrived.push(frame)
  })
  await until('the socket is subscribed', () => isSubscribed)
  return {
    next: async () => {
      await until('the change arrives', () => arrived.length > 0)
      return arrived[0]
    },
    close: () => socket.close(),
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const limit = Date.now() + PATIENCE_MS
  while (!condition()) {
    if (Date.now() > limit) throw new UsageError(`Waited in vain: ${what}.`)
    await wait(5)
  }
}

function feedForm(items: readonly DemoItem[]): FormData {
  const form = new FormData()
  form.set('file', new Blob([demoFeed(items)], { type: 'application/xml' }), 'demo.xml')
  return form
}

async function post<T>(url: string, seller: Seller | undefined, body: FormData | object): Promise<T> {
  const isForm = body instanceof FormData
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...seller?.headers, ...(isForm ? {} : { 'content-type': 'application/json' }) },
    body: isForm ? body : JSON.stringify(body),
  })
  if (!response.ok) throw new UsageError(`${url} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
