import { randomBytes } from 'node:crypto'

import { loadConfig, type Config } from '../platform/config.ts'
import { parseArguments, UsageError, urlOf, type Command } from './command.ts'
import { demoFeed, demoItems, type DemoItem } from './demo-feed.ts'
import { watchMailbox } from './demo-mailbox.ts'
import { openDemoServer, until, type DemoServer, type DemoUser } from './demo-server.ts'
import { offerGoods, openTags, showPurchase, signInAsStaff, type Offer } from './demo-store.ts'

const houses = ['Casa Lola', 'Atlas & Sons', 'Maison Verte', 'Nordlys', 'Bazar Azul']
const ITEMS_PER_HOUSE = 40

export const demoCommand: Command = {
  name: 'demo',
  summary: 'fill a running server with a marketplace and show changes arriving',
  help: `Usage: souk demo [--url http://127.0.0.1:8000]

Signs up sellers through the public API of a running server, imports their feeds and offers products with stock, variants and tags. Then
uploads one more product and prints that change as it arrives on a socket, and the mail that follows it in the local mailbox; and has a
customer follow a seller, fill a bag, order and pay, and prints the states of the order as they arrive, and the mail. Runs any number of
times. Tags are made, and the order is sent away, by the superuser of the first start: without --url, where the settings or the data folder
know the password.`,
  async run(args) {
    const { url } = parseArguments({ args, options: { url: { type: 'string' } } }).values
    const config = loadConfig()
    const server = openDemoServer((url ?? urlOf(config)).replace(/\/+$/, ''))
    await requireRunning(server.url)
    // The password of this machine's superuser is not for whoever listens at another address.
    const staff = url === undefined ? await signInAsStaff(server, config) : undefined
    await runDemo({ server, config, staff, say })
    return 0
  },
}

interface Demo {
  server: DemoServer
  config: Config
  staff: DemoUser | undefined
  say: (text: string) => void
}

export async function runDemo(demo: Demo): Promise<void> {
  const { server, config, staff, say } = demo
  const run = randomBytes(3).toString('hex')
  const tagIds = staff === undefined ? new Map<string, string>() : await openTags(server, staff)
  if (staff === undefined) say('no superuser to sign in as: the products have no tags, and the order is not sent away')
  const sellers: DemoUser[] = []
  const offers: Offer[] = []
  for (const [n, house] of houses.entries()) {
    const seller = await server.signUp(house, `demo-${run}-${n + 1}`)
    const { created } = await importGoods(server, seller)
    const offered = await offerGoods(server, seller, tagIds)
    say(
      `${house.padEnd(14)} signed up as ${seller.username}, ${created} products imported, ${offered.length} offered in sizes`,
    )
    sellers.push(seller)
    offers.push(offered[n % offered.length]!)
  }
  await showArrival(demo, sellers[0]!)

  const customer = await server.signUp('Noor', `demo-${run}-noor`)
  await server.send('POST', `/api/users/${sellers[0]!.id}/follow/`, customer)
  const feed = await server.send<{ data: Offer[] }>('GET', '/api/feed/?page_size=100', customer)
  say(
    `\n${'Noor'.padEnd(14)} signed up as ${customer.username} and follows ${sellers[0]!.name}: ${feed.data.length} products in the feed`,
  )
  await showPurchase({ server, config, customer, staff, wanted: offers.slice(0, 2), say })
}

async function requireRunning(url: string): Promise<void> {
  const isUp = await fetch(`${url}/healthz`).then(
    (response) => response.ok,
    () => false,
  )
  if (!isUp) throw new UsageError(`No Souk answers at ${url}. Start one with "npm start", or name another with --url.`)
}

/** Imports the seller's goods in the background, and waits for the end. */
async function importGoods(server: DemoServer, seller: DemoUser): Promise<{ created: number }> {
  const items = demoItems(seller.name, seller.username, ITEMS_PER_HOUSE)
  const { id } = await server.send<{ id: string }>('POST', '/api/imports/', seller, feedForm(items))
  const ended = async () => {
    const job = await server.send<{ state: string; created: number }>('GET', `/api/imports/${id}/`, seller)
    if (['failed', 'cancelled'].includes(job.state)) throw new UsageError(`The import ended as ${job.state}.`)
    return job.state === 'succeeded' && job
  }
  return until('the import ends', ended, 100)
}

/** Uploads one product and prints its change and its mail as they arrive. */
async function showArrival({ server, config, say }: Demo, seller: DemoUser): Promise<void> {
  const socket = await server.listen(seller, 'catalog.products.imported')
  const mail = await watchMailbox(config)
  const [item] = demoItems(seller.name, `${seller.username}-live`, 1)
  say(`\nlistening on ${server.url.replace('http', 'ws')}/ws/changes/, uploading "${item!.title}" ...`)
  const started = performance.now()
  await server.send('POST', '/upload-products/', seller, feedForm([item!]))
  const { arrivedAt, change } = await socket.next()
  const after = Math.round(arrivedAt - started)
  say(`\nthe change, ${after} ms after the upload began:\n${JSON.stringify(change, null, 2)}`)
  socket.close()
  say(`\n${await mail(item!.id)}`)
}

function feedForm(items: readonly DemoItem[]): FormData {
  const form = new FormData()
  form.set('file', new Blob([demoFeed(items)], { type: 'application/xml' }), 'demo.xml')
  return form
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
