import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { createMailbox, listMailbox, pruneMailbox } from './mailbox.ts'
import { composeMessage } from './message.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'souk-mailbox-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function messageOf(id: string, date = '2026-01-02T03:04:05Z') {
  return composeMessage({
    from: 'souk@example.org',
    to: 'ada@example.org',
    subject: `Mail ${id}`,
    html: '<p>x</p>',
    text: 'x',
    date: new Date(date),
    id,
  })
}

const { signal } = new AbortController()

test('a mail that is kept twice, also at once, is there once', async () => {
  const mailbox = createMailbox(folder)
  const message = await messageOf('a')

  const results = await Promise.all([mailbox.send('a', message, signal), mailbox.send('a', message, signal)])
  await mailbox.send('a', message, signal)

  const files = await readdir(join(folder, '2026-01-02'))
  expect(results).toEqual([{ result: 'accepted' }, { result: 'accepted' }])
  expect(files.toSorted()).toEqual(['030405000-a.eml', 'index.jsonl'])
  expect(await listMailbox(folder, 10)).toHaveLength(1)
})

test('the newest come first, at most as many as asked for, and a line cut off by a full disk is passed over', async () => {
  const mailbox = createMailbox(folder)
  await mailbox.send('a', await messageOf('a'), signal)
  await mailbox.send('b', await messageOf('b', '2026-01-03T00:00:00Z'), signal)
  await appendFile(join(folder, '2026-01-03/index.jsonl'), '{"file":"2026')

  const all = await listMailbox(folder, 10)
  const newest = await listMailbox(folder, 1)

  expect(all.map((entry) => entry.subject)).toEqual(['Mail b', 'Mail a'])
  expect(newest.map((entry) => entry.subject)).toEqual(['Mail b'])
})

test('days that are over are removed; a folder that is not there yet is no fault', async () => {
  const mailbox = createMailbox(folder)
  await mailbox.send('a', await messageOf('a'), signal)
  await mailbox.send('b', await messageOf('b', '2026-02-10T00:00:00Z'), signal)

  await pruneMailbox(folder, new Date('2026-02-11T00:00:00Z'))
  await pruneMailbox(join(folder, 'missing'), new Date())

  expect(await readdir(folder)).toEqual(['2026-02-10'])
  expect(await listMailbox(join(folder, 'missing'), 5)).toEqual([])
})

test('a folder that cannot be written is trouble of the mailbox, not of the mail', async () => {
  await appendFile(join(folder, 'file'), '')
  const mailbox = createMailbox(join(folder, 'file'))

  const result = await mailbox.send('a', await messageOf('a'), signal)

  expect(result).toMatchObject({ result: 'unavailable' })
})
