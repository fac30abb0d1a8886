import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { listMailbox, mailboxFolder, type MailboxEntry } from '../../src/platform/mail/index.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { feed, fieldPart, item, multipart, upload } from './product-feed-fixtures.ts'

let souk: TestApp
let user: TestUser
let admin: TestUser
let before: number

beforeAll(async () => {
  souk = await startTestApp()
  user = await souk.signUp('seller')
  admin = await souk.staff({ superuser: true })
  await souk.staff()
})
afterAll(() => souk.close())
beforeEach(async () => {
  before = (await mailbox()).length
})

const mailbox = () => listMailbox(mailboxFolder(souk.dataDir), 1_000)

/** The mails of this test once the queue is at rest, oldest first. */
async function mails(): Promise<MailboxEntry[]> {
  await souk.drain()
  const end = Date.now() + 10_000
  while ((await souk.db.rows(sqlUnfinished)).length > 0) {
    if (Date.now() > end) throw new Error('mails are still waiting')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const all = await mailbox()
  return all.slice(0, all.length - before).toReversed()
}

const sqlUnfinished = sql`SELECT 1 FROM deliveries WHERE kind = 'mail' LIMIT 1`

/** The mail as text, both alternatives, transfer encoding undone. */
async function content(mail: MailboxEntry): Promise<string> {
  const raw = await readFile(join(mailboxFolder(souk.dataDir), mail.file), 'utf8')
  return raw
    .replaceAll(/=\r?\n/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}

describe('a successful upload', () => {
  it('sends each admin one mail per created product with every field and the flagged ids', async () => {
    await upload(souk, user, feed(item('old-1')))
    before += (await mails()).length

    await upload(
      souk,
      user,
      feed(
        item('new-1', '<g:sale_price>10</g:sale_price>'),
        item('old-1'),
        item('new-2', '<g:brand>Fish &amp; &lt;b&gt;Chips&lt;/b&gt;</g:brand>'),
        item('bad-1', '<g:price>x</g:price>'),
      ),
      'spring <i>.xml',
    )
    const sent = await mails()

    expect(sent.map(({ to, subject }) => ({ to, subject }))).toEqual([
      { to: admin.email, subject: 'Product Upload Successful' },
      { to: admin.email, subject: 'Product Upload Successful' },
    ])
    const texts = (await Promise.all(sent.map(content))).toSorted()
    const first = texts.find((text) => text.includes('id: new-1'))!
    const second = texts.find((text) => text.includes('id: new-2'))!
    for (const line of ['title: Title new-1', 'price: 199.99', 'sale_price: 10.00', 'quantity: 3', 'adult: false']) {
      expect(first).toContain(line)
    }
    expect(first).toContain('<h1')
    expect(first).toContain('Product Upload Successful</h1>')
    expect(first).toContain('User name: seller')
    expect(first).toContain('User e-mail: seller@example.com')
    expect(first).toContain('Existing Product IDs: old-1')
    expect(first).toContain('Problematic Product IDs: bad-1')
    expect(first).toContain('Ounass')
    expect(first).toContain('Thank you for using Ounass.')
    expect(first).toContain('<li>File name: spring &lt;i&gt;.xml</li>')
    expect(second).toContain('<li>brand: Fish &amp; &lt;b&gt;Chips&lt;/b&gt;</li>')
    expect(second).toContain('<li>description: &lt;p&gt;Good. Cheap.&lt;/p&gt;</li>')
  })

  it('sends one mail without a product when nothing was created but something was found', async () => {
    await upload(souk, user, feed(item('old-1'), item('bad-2', '<g:quantity>-1</g:quantity>'), '<item/>'))

    const sent = await mails()

    expect(sent).toHaveLength(1)
    const text = await content(sent[0]!)
    expect(text).not.toContain('brand:')
    expect(text).toContain('Existing Product IDs: old-1')
    expect(text).toContain('<li>Problematic Product IDs: bad-2</li>')
    expect(text).toContain('<li>Items without an id: 1</li>')
  })

  it('has no list of ids when the items have none', async () => {
    await upload(souk, user, feed('<item/>', '<item/>'))

    const sent = await mails()

    const text = await content(sent[0]!)
    expect(text).not.toContain('Product IDs')
    expect(text).toContain('<li>Items without an id: 2</li>')
  })

  it('names the first hundred ids and says how many more', async () => {
    const broken = Array.from({ length: 130 }, (_, n) => item(`many-${n}`, '<g:price>x</g:price>'))
    await upload(souk, user, feed(...broken))

    const sent = await mails()

    const text = await content(sent[0]!)
    expect(text).toContain('many-99 and 30 more')
    expect(text).not.toContain('many-100')
  })

  it('sends nothing for a feed without items', async () => {
    await upload(souk, user, feed())

    expect(await mails()).toEqual([])
  })
})

describe('a failed upload', () => {
  it('tells each admin the reason', async () => {
    await upload(souk, user, '<rss><a></b></rss>', 'broken.xml')

    const sent = await mails()

    expect(sent.map(({ to, subject }) => ({ to, subject }))).toEqual([
      { to: admin.email, subject: 'Product Upload Failed' },
    ])
    const text = await content(sent[0]!)
    expect(text).toContain('Product Upload Failed</h1>')
    expect(text).toContain('User name: seller')
    expect(text).toContain('File name: broken.xml')
    expect(text).toMatch(/error occurred.*line 1, column/)
  })

  it('sends nothing when no file came', async () => {
    const { headers, payload } = multipart(fieldPart('file', 'null'))
    await souk.inject({ method: 'POST', url: '/upload-products/', headers: { ...headers, ...user.headers }, payload })

    expect(await mails()).toEqual([])
  })
})
