import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp } from '../../test/support/app.ts'
import { runDemo } from './demo.ts'
import { openDemoServer } from './demo-server.ts'
import { signInAsStaff } from './demo-store.ts'

let souk: TestApp
let url: string

beforeAll(async () => {
  souk = await startTestApp()
  url = await souk.listen()
})
afterAll(() => souk.close())

/** What the demo prints, with `admin` as the superuser whom the settings name. */
async function printed(admin: { username?: string; password?: string }): Promise<string> {
  const config = { ...souk.config, admin: { email: undefined, username: undefined, password: undefined, ...admin } }
  const server = openDemoServer(url)
  const lines: string[] = []
  await runDemo({ server, config, staff: await signInAsStaff(server, config), say: (text) => lines.push(text) })
  return lines.join('\n')
}

const STATES = [
  /^ +\d+ ms {2}orders\.order\.placed +PENDING_CONFIRMATION$/m,
  /^ +\d+ ms {2}orders\.order\.confirmed +CONFIRMED$/m,
  /^ +\d+ ms {2}orders\.order\.accepted +ACCEPTED$/m,
]
const SHIPPED = /^ +\d+ ms {2}orders\.order\.shipped +SHIPPED$/m

it('fills the store and shows an upload and an order arriving, with their mails', async () => {
  const staff = await souk.staff({ superuser: true })

  const text = await printed(staff)

  expect(text).toMatch(/^Casa Lola +signed up as demo-\w+-1, 40 products imported, 4 offered in sizes$/m)
  expect(text).toContain('"topic": "catalog.products.imported"')
  expect(text).toContain('Subject: Product Upload Successful')
  expect(text).toMatch(/and follows Casa Lola: 45 products in the feed$/m)
  for (const state of [...STATES, SHIPPED]) expect(text).toMatch(state)
  expect(text).toMatch(/^To: demo-\w+-noor@example\.com\nSubject: Your order was accepted$/m)

  const tagged = await souk.inject({ url: '/api/products/?search_term=silk%20dress', headers: staff.headers })
  const { data } = tagged.json<{ data: { stock: object; tags: { name: string }[] }[] }>()
  expect(data[0]).toMatchObject({ stock: { S: 4, M: 5, L: 6 } })
  expect(data[0]!.tags.map(({ name }) => name)).toEqual(['Silk', 'Summer', 'Evening'])
})

it('runs again, and without anybody of the staff', async () => {
  const text = await printed({})

  expect(text).toContain('no superuser to sign in as')
  for (const state of STATES) expect(text).toMatch(state)
  expect(text).not.toMatch(SHIPPED)
})

it('goes on without staff where the password is not right', async () => {
  const { username } = await souk.staff({ superuser: true })

  const staff = await signInAsStaff(openDemoServer(url), {
    ...souk.config,
    admin: { username, email: undefined, password: 'not this one' },
  })

  expect(staff).toBeUndefined()
})
