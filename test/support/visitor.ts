import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { WebSocket } from 'ws'

import type { TestApp, TestUser } from './app.ts'
import { until } from './until.ts'

/** Uploads a feed as a browser does, over a real connection. */
export function uploadFeed(url: string, user: TestUser, feed: string): Promise<Response> {
  const form = new FormData()
  form.set('file', new Blob([feed], { type: 'application/xml' }), 'feed.xml')
  return fetch(`${url}/upload-products/`, { method: 'POST', headers: user.headers, body: form })
}

export interface HeardChange {
  type: 'change'
  topic: string
  subject: { id: string }
}

/** A socket that hears one pattern of topics from now on; the changes it has heard are kept. */
export async function listen(url: string, user: TestUser, topic: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/changes/`, { headers: user.headers })
  const closed = once(socket, 'close').then(([code]) => code as number)
  const heard: HeardChange[] = []
  await once(socket, 'open')
  socket.send(JSON.stringify({ action: 'subscribe', topics: [topic] }))
  await once(socket, 'message')
  socket.on('message', (raw: Buffer) => {
    const frame = JSON.parse(raw.toString()) as HeardChange | { type: 'caught-up' }
    if (frame.type === 'change') heard.push(frame)
  })
  const first = async (name?: string): Promise<HeardChange> => {
    const find = () => heard.find((change) => name === undefined || change.topic === name)
    await until(`${name ?? topic} is heard`, () => find() !== undefined)
    return find()!
  }
  return { first, close: () => socket.close(), closed }
}

/** The mails in the local mailbox that have this line, once there are as many as expected or the time is up. */
export async function mailsWith({ dataDir }: TestApp, line: string, count = 1): Promise<string[]> {
  const folder = join(dataDir, 'mailbox')
  const end = Date.now() + 10_000
  for (;;) {
    const names = await readdir(folder, { recursive: true }).catch(() => [])
    const files = names.filter((name) => name.endsWith('.eml'))
    const mails = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
    const found = mails.filter((mail) => mail.includes(line))
    if (found.length >= count || Date.now() > end) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
