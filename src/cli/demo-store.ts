import type { Config } from '../platform/config.ts'
import { readOwnerOnly } from '../platform/secrets.ts'
import { watchMailbox } from './demo-mailbox.ts'
import type { DemoServer, DemoUser } from './demo-server.ts'

const goods = [
  {
    title: 'linen shirt',
    description: 'A light shirt, made in small numbers.',
    price: 5_900,
    tags: ['Linen', 'Summer'],
  },
  { title: 'wool jumper', description: 'Warm, and knitted by hand.', price: 11_900, tags: ['Wool', 'Winter'] },
  { title: 'silk dress', description: 'Falls to the knee.', price: 18_900, tags: ['Silk', 'Summer', 'Evening'] },
  { title: 'leather belt', description: 'Brass buckle.', price: 4_500, tags: ['Leather'] },
]
const sizes = ['S', 'M', 'L']

export interface Offer {
  id: string
  title: string
}

/** The superuser of the first start, as far as the settings or the data folder of this machine know the password. */
export async function signInAsStaff(server: DemoServer, config: Config): Promise<DemoUser | undefined> {
  const [name, kept] = (await readOwnerOnly(config.dataDir, 'admin-password'))?.split(' ') ?? []
  const username = config.admin.username ?? name
  const password = config.admin.password ?? kept
  return username === undefined || password === undefined ? undefined : server.signIn(username, password)
}

/** The ids of the tags that the goods bear, by name; those that are missing are made. */
export async function openTags(server: DemoServer, staff: DemoUser): Promise<Map<string, string>> {
  const ids = new Map<string, string>()
  for (const name of new Set(goods.flatMap(({ tags }) => tags))) {
    const path = `/api/tags/?page_size=100&search_term=${encodeURIComponent(name)}`
    const { data } = await server.send<{ data: { id: string; name: string }[] }>('GET', path, staff)
    const known = data.find((tag) => tag.name.toLowerCase() === name.toLowerCase())
    const body = { name, description: `${name}, as the demo has it.` }
    ids.set(name, (known ?? (await server.send<{ id: string }>('POST', '/api/tags/', staff, body))).id)
  }
  return ids
}

/** Every seller offers the same goods under the own name, each in three sizes; without tags where nobody could make them. */
export async function offerGoods(
  server: DemoServer,
  seller: DemoUser,
  tagIds: ReadonlyMap<string, string>,
): Promise<Offer[]> {
  const offers: Offer[] = []
  for (const { title, tags, ...rest } of goods) {
    const stock = Object.fromEntries(sizes.map((size, n) => [size, 4 + n]))
    const body = {
      ...rest,
      title: `${seller.name} ${title}`,
      stock,
      tags: tags.flatMap((tag) => tagIds.get(tag) ?? []),
    }
    offers.push(await server.send<Offer>('POST', '/api/products/', seller, body))
  }
  return offers
}

interface Purchase {
  server: DemoServer
  config: Config
  customer: DemoUser
  /** Sends the order away, if there is somebody of the staff. */
  staff: DemoUser | undefined
  wanted: readonly Offer[]
  say: (text: string) => void
}

/** Fills a bag, orders and pays for it, and prints the states of the order as they arrive, and the mail that follows. */
export async function showPurchase({ server, config, customer, staff, wanted, say }: Purchase): Promise<void> {
  const socket = await server.listen(customer, 'orders.order.*')
  const mail = await watchMailbox(config)
  const started = performance.now()
  const arrival = async (): Promise<string> => {
    const { arrivedAt, change } = await socket.next()
    const after = `${Math.round(arrivedAt - started)} ms`
    say(`${after.padStart(8)}  ${change.topic.padEnd(22)}  ${change.data.state ?? ''}`)
    return change.topic
  }

  const lines = wanted.map((offer, n) => ({ offer, variant: sizes[n % sizes.length]!, quantity: n + 1 }))
  const texts = lines.map(({ offer, variant, quantity }) => `${quantity} × "${offer.title}" in ${variant}`)
  say(`\nordering ${texts.join(' and ')}; at the customer's socket arrive:`)
  const items = lines.map(({ offer, ...line }) => ({ product_id: offer.id, ...line }))
  await server.send('PUT', '/api/bag/', customer, { items })
  const order = await server.send<{ id: string }>('POST', '/api/bag/checkout/', customer)
  const payment = { method: 'card', reference: 'demo' }
  await server.send('POST', `/api/orders/${order.id}/confirm/`, customer, { payment })
  while ((await arrival()) !== 'orders.order.accepted');
  if (staff !== undefined) {
    await server.send('POST', `/api/orders/${order.id}/ship/`, staff)
    await arrival()
  }
  socket.close()
  say(`\n${await mail(`To: ${customer.email}`, 'Subject: Your order was accepted')}`)
}
