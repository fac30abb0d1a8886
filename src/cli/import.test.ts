import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { item } from '../../test/contract/imports-bench.ts'
import { feed } from '../../test/contract/product-feed-fixtures.ts'
import { startTestApp, type TestApp, type TestUser } from '../../test/support/app.ts'
import { importCommand, importFile, progressBar, summary } from './import.ts'

let server: TestApp
let user: TestUser
let url: string
let folder: string

beforeAll(async () => {
  server = await startTestApp()
  url = await server.listen()
  user = await server.signUp()
  folder = await mkdtemp(join(tmpdir(), 'souk-import-'))
})

afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

async function fileOf(name: string, content: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

function terminal() {
  const written: string[] = []
  return { isTTY: true, write: (text: string) => written.push(text), text: () => written.join('') }
}

describe('souk import', () => {
  it('sends a file, draws its progress and returns what became of it', async () => {
    const path = await fileOf('a.xml', feed(item('a1'), item('a2', { 'g:price': 'x' })))
    const out = terminal()
    const options = { url, authorization: `Bearer ${user.token}`, update: false, dryRun: false }

    const status = await importFile(path, options, progressBar(out))

    expect(status).toMatchObject({ state: 'succeeded', created: 1, problematic: 1 })
    expect(out.text()).toContain('[##############################] 100%  sending')
    expect(out.text().endsWith('\r')).toBe(true)
    expect(summary(status, url)).toBe(`Import succeeded
2 read, 1 created, 0 updated, 0 unchanged, 0 existing, 1 problematic
What was wrong: ${url}/api/imports/${status.id}/report.csv`)
  })

  it('answers with the exit code, whatever the credential', async () => {
    const path = await fileOf('b.xml', feed(item('b1')))
    const broken = await fileOf('c.xml', '<rss>\n<channel>')
    const token = await fileOf('token', `${user.token}\n`)

    expect(await importCommand.run([path, '--url', url, '--token-file', token, '--dry-run'])).toBe(0)
    expect(await importCommand.run([path, '--url', `${url}/`, '--user', `${user.username}:${user.password}`])).toBe(0)
    expect(await importCommand.run([broken, '--url', url, '--token', user.token, '--update'])).toBe(1)
  })

  it.each([
    ['no file', () => ['--url', url, '--token', 'x'], /Name one file/],
    ['no credential', () => ['x.xml', '--url', url], /Say who you are/],
    ['an unknown option', () => ['x.xml', '--force'], /--force/],
    [
      'a file that is not there',
      () => [join(folder, 'nothing.xml'), '--url', url, '--token', 'x'],
      /cannot be read: ENOENT/,
    ],
    [
      'a token file that is not there',
      () => ['x.xml', '--url', url, '--token-file', join(folder, 'no')],
      /cannot be read/,
    ],
    ['a wrong token', () => [join(folder, 'a.xml'), '--url', url, '--token', 'wrong'], /refused with 401/],
    [
      'no server',
      () => [join(folder, 'a.xml'), '--url', 'http://127.0.0.1:1', '--token', 'x'],
      /No Souk can be reached/,
    ],
  ])('says what is wrong with %s', async (_, args, message) => {
    await fileOf('a.xml', feed())

    await expect(importCommand.run(args())).rejects.toThrow(message)
  })
})
