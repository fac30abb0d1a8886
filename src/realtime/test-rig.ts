import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

import { pino } from 'pino'
import { Type } from 'typebox'
import { WebSocket, type ClientOptions } from 'ws'

import { createChangeLog, defineTopic, recordChange, recordChanges, type AudienceKey } from '../changes/index.ts'
import { systemClock } from '../platform/clock.ts'
import { loadConfig } from '../platform/config.ts'
import { createDb, type Db } from '../platform/db/db.ts'
import { UnauthenticatedError } from '../platform/errors.ts'
import type { App } from '../platform/http/app.ts'
import type { Authenticate } from '../platform/http/caller.ts'
import { createHttpServer } from '../platform/http/server.ts'
import { createRealtime, type Realtime, type RightsEnded } from './index.ts'
import type { Limits } from './limits.ts'

/** Ids of things that are hidden from everybody but their owner, who is named in the data. */
export const hiddenThings = new Set<string>()
/** How often the owner of the topic was asked. */
export const questions = { count: 0 }

const thingChanged = defineTopic({
  name: 'test.thing.changed',
  description: 'A thing has changed.',
  subject: 'thing',
  heardBy: 'everybody signed in',
  data: Type.Object({ n: Type.Integer(), owner: Type.Optional(Type.String()), text: Type.Optional(Type.String()) }),
  hiddenNow: async (_db, caller, changes) => {
    questions.count += 1
    const hidden = changes.filter(({ subject, data }) => {
      return hiddenThings.has(subject.id) && (data as { owner?: string }).owner !== caller.userId
    })
    return new Set(hidden.map(({ id }) => id))
  },
})

export const noteWritten = defineTopic({
  name: 'test.note.written',
  description: 'A note was written.',
  subject: 'note',
  heardBy: 'its reader and staff',
  data: Type.Object({ n: Type.Integer(), text: Type.Optional(Type.String()) }),
})

export const signInEnded = defineTopic({
  name: 'test.sign-in.ended',
  description: 'A sign-in has ended.',
  subject: 'user',
  heardBy: 'the user and staff',
  data: Type.Object({ sign_in_id: Type.String() }),
})

export const userEnded = defineTopic({
  name: 'test.user.ended',
  description: 'A user was deleted.',
  subject: 'user',
  heardBy: 'staff',
  data: Type.Object({}),
})

export const staffEnded = defineTopic({
  name: 'test.staff.ended',
  description: 'A user is staff no more.',
  subject: 'user',
  heardBy: 'staff',
  data: Type.Object({}),
})

export const topics = [thingChanged, noteWritten, signInEnded, userEnded, staffEnded]

const rightsEnded: RightsEnded = ({ topic, subject, data }) => {
  if (topic === signInEnded.name)
    return { userId: subject.id, signInIds: [(data as { sign_in_id: string }).sign_in_id] }
  if (topic === userEnded.name) return { userId: subject.id, signInIds: 'all' }
  return topic === staffEnded.name ? { userId: subject.id, isStaff: false } : undefined
}

/** The id of a user of these tests. */
export function userIdOf(name: string): string {
  return `00000000-0000-4000-8000-${Buffer.from(name.padEnd(6)).subarray(0, 6).toString('hex')}`
}

/** Tokens of these tests say who they are: `<user>`, `<user>/<sign-in>`, with `+staff`, `+writes` (no scope read), `+ends=<ms>`. */
const authenticate: Authenticate = async ({ headers }) => {
  const token =
    /^bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? /sessionid=([^;]+)/.exec(headers.cookie ?? '')?.[1]
  if (token === undefined) return undefined
  const [, name = '', signInId = 'first', flags = ''] = /^(\w+)(?:\/(\w+))?((?:\+[\w=]+)*)$/.exec(token) ?? []
  if (name === '' || name === 'bad') throw new UnauthenticatedError('Invalid token.')
  const ends = /\+ends=(\d+)/.exec(flags)?.[1]
  return {
    userId: userIdOf(name),
    username: name,
    email: null,
    isStaff: flags.includes('+staff'),
    isSuperuser: false,
    scopes: flags.includes('+writes') ? ['write'] : ['read', 'write'],
    signInId,
    via: headers.authorization === undefined ? 'session' : 'token',
    ...(ends === undefined ? {} : { expiresAt: Number(ends) }),
  }
}

export interface Rig {
  app: App
  db: Db
  realtime: Realtime
  url: string
  /** Statements this process has sent. */
  statements: string[]
  stop(): Promise<void>
}

/** One server process' worth of change log, HTTP server and realtime on the given database. */
export async function startRig(databaseUrl: string, limits: Partial<Limits> = {}): Promise<Rig> {
  const log = pino({ level: 'silent' })
  const statements: string[] = []
  const onStatement = (text: string): void => void statements.push(text)
  const db = createDb({ url: databaseUrl, poolSize: 6, applicationName: 'souk rig', log, onStatement })
  const config = loadConfig({ DATABASE_URL: databaseUrl, SECRET_KEY: 'a secret for tests only' })
  const context = { db, config, clock: systemClock, log }
  const changeLog = createChangeLog({ ...context, topics })
  const app = await createHttpServer({ ...context, authenticate, version: '0' })
  const realtime = createRealtime({ ...context, app, changeLog, authenticate, topics, rightsEnded, limits })
  realtime.registerRoutes(app)
  const services = [...changeLog.services(), ...realtime.services()]
  for (const service of services) await service.start()
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  return {
    app,
    db,
    realtime,
    url: `http://127.0.0.1:${port}`,
    statements,
    stop: async () => {
      await app.close()
      for (const service of services.toReversed()) await service.stop()
      await db.close()
    },
  }
}

/** Records one change for everybody. */
export function recordThing(
  db: Db,
  n: number,
  more: { subjectId?: string; owner?: string; text?: string } = {},
): Promise<string> {
  const { subjectId = String(n), ...data } = more
  const change = { topic: thingChanged, subjectId, actor: null, audience: ['public' as const], data: { n, ...data } }
  return db.transaction((tx) => recordChange(tx, change))
}

/** Records several changes for everybody in one transaction. */
export async function recordThings(db: Db, from: number, count: number, text?: string): Promise<void> {
  const changes = Array.from({ length: count }, (_, index) => ({
    topic: thingChanged,
    subjectId: String(from + index),
    actor: null,
    audience: ['public' as const],
    data: { n: from + index, ...(text === undefined ? {} : { text }) },
  }))
  await db.transaction((tx) => recordChanges(tx, changes))
}

/** Records one change for some users, named as in their tokens, or for `staff`. */
export function recordNote(db: Db, n: number, readers: readonly string[]): Promise<string> {
  const audience = readers.map((name): AudienceKey => (name === 'staff' ? 'staff' : `user:${userIdOf(name)}`))
  return db.transaction((tx) =>
    recordChange(tx, { topic: noteWritten, subjectId: String(n), actor: null, audience, data: { n } }),
  )
}

export interface Frame {
  type: string
  position: number
  epoch: string
  oldest: number
  topics: string[]
  topic: string
  message: string
  ref: string
  data: { n: number }
  subject: { type: string; id: string }
}

/** Long enough for a machine that is busy with other tests. */
const WAIT_MS = 25_000

/** A client of `/ws/changes/` that keeps every frame it got. */
export class Client {
  readonly frames: Frame[] = []
  readonly socket: WebSocket
  closeCode: number | undefined
  readonly closed: Promise<number>
  #wake: () => void = () => undefined

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString()) as Frame)
      this.#wake()
    })
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      socket.on('close', (code) => {
        this.closeCode = code
        this.#wake()
        resolve(code)
      })
    })
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** Resolves with the first frame of this type after the first `skip` frames; rejects when the socket closes or nothing comes. */
  async next(type: string, skip = 0): Promise<Frame> {
    let found: Frame | undefined
    await this.until(() => {
      found = this.frames.slice(skip).find((frame) => frame.type === type)
      return found !== undefined
    }, `a frame "${type}"`)
    return found!
  }

  async until(isDone: () => boolean, what = 'the expected frames'): Promise<void> {
    const deadline = Date.now() + WAIT_MS
    while (!isDone()) {
      if (this.closeCode !== undefined) throw new Error(`closed with ${this.closeCode} before ${what}`)
      if (Date.now() > deadline) throw new Error(`${what} did not come; got ${JSON.stringify(this.frames.slice(-3))}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, 50)
      })
    }
  }

  /** The numbers of the changes heard so far. */
  get heard(): number[] {
    return this.frames.filter(({ type }) => type === 'change').map(({ data }) => data.n)
  }

  /** Subscribes and returns the `subscribed` frame. */
  async subscribe(topics: string[], from?: { since: number; epoch: string }): Promise<Frame> {
    const skip = this.frames.length
    this.send({ action: 'subscribe', topics, ...from })
    return this.next('subscribed', skip)
  }
}

export async function openClient(url: string, token: string, options: ClientOptions = {}): Promise<Client> {
  const headers = { authorization: `Bearer ${token}`, ...options.headers }
  const client = new Client(new WebSocket(`${url.replace('http', 'ws')}/ws/changes/`, { ...options, headers }))
  await once(client.socket, 'open')
  return client
}

/** The answer to a handshake that is refused. */
export async function refusedHandshake(
  url: string,
  options: ClientOptions = {},
): Promise<{ status: number; headers: Record<string, unknown>; body: Record<string, unknown> }> {
  const socket = new WebSocket(url.replace('http', 'ws'), options)
  socket.on('error', () => undefined)
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>
  return { status: response.statusCode ?? 0, headers: response.headers, body }
}
