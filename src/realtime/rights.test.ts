import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { recordChange } from '../changes/index.ts'
import type { Db } from '../platform/db/db.ts'
import {
  openClient,
  recordNote,
  recordThings,
  signInEnded,
  staffEnded,
  startRig,
  userEnded,
  userIdOf,
  type Client,
  type Rig,
} from './test-rig.ts'

let database: TestDatabase
let rig: Rig
let stopWriting: () => Promise<void>

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 4 })
  rig = await startRig(database.url)
})

afterEach(() => stopWriting())

afterAll(async () => {
  await rig.stop()
  await database.drop()
})

describe('rights that end while changes are written all the time', () => {
  it('closes the sockets of a sign-in that was revoked with 4401 and sends them nothing from there on', async () => {
    stopWriting = writeUntilStopped(database.db)
    const phone = await follow('ada/phone', ['*'])
    const laptop = await follow('ada/laptop', ['*'])
    const staff = await follow('boss/s+staff', ['test.sign-in.*'])

    await endSignIn('ada', 'phone')
    const code = await phone.closed
    const { position } = await staff.next('change')
    const heardBefore = laptop.heard.length
    await laptop.until(() => laptop.heard.length > heardBefore + 20)

    expect(code).toBe(4401)
    expect(lastPosition(phone)).toBeLessThan(position)
    expect(laptop.closeCode).toBeUndefined()
    for (const { socket } of [laptop, staff]) socket.terminate()
  })

  it('closes every socket of a deleted user, also in the middle of a replay', async () => {
    await recordThings(database.db, 1, 5_000)
    stopWriting = writeUntilStopped(database.db)
    const live = await follow('ada/phone', ['*'])
    const staff = await follow('boss/s+staff', ['test.user.*'])
    const replaying = await openClient(rig.url, 'ada/laptop')
    replaying.send({ action: 'subscribe', topics: ['*'], since: 0, epoch: live.frames[0]!.epoch })
    await replaying.next('change')

    await endUser('ada')
    const codes = await Promise.all([live.closed, replaying.closed])
    const { position } = await staff.next('change')

    expect(codes).toEqual([4401, 4401])
    expect(lastPosition(live)).toBeLessThan(position)
    expect(lastPosition(replaying)).toBeLessThan(position)
    staff.socket.terminate()
  })

  it('leaves a user who is staff no more with what everybody hears, from that very change on', async () => {
    stopWriting = writeUntilStopped(database.db)
    const witness = await follow('boss/s+staff', ['test.staff.*'])
    const demoted = await follow('former/s+staff', ['*'])
    await demoted.until(() => notes(demoted).length > 10)

    await endStaff('former')
    const { position } = await witness.next('change')
    const things = demoted.heard.length
    await demoted.until(() => demoted.heard.length > things + 20)

    expect(demoted.closeCode).toBeUndefined()
    expect(notes(demoted).at(-1)).toBeLessThan(position)
    for (const { socket } of [witness, demoted]) socket.terminate()
  })

  it('ends event streams and waiting reads as well', async () => {
    stopWriting = async () => undefined
    const headers = { authorization: 'Bearer ada/phone' }
    const stream = await fetch(`${rig.url}/api/changes/stream/?topics=test.note.*`, { headers })
    const url = `${rig.url}/api/changes/?topics=test.note.*&wait=20&since=${rig.realtime.stats().position}`
    const { epoch } = (await (await fetch(`${rig.url}/api/changes/`, { headers })).json()) as { epoch: string }
    const waiting = fetch(`${url}&epoch=${epoch}`, { headers })
    await expect.poll(() => rig.realtime.stats().streams).toBe(2)

    await endSignIn('ada', 'phone')
    const text = await stream.text()
    const answer = await Promise.race([waiting, wait(5_000, 'still waiting')])
    await recordNote(database.db, 1, ['ada'])

    expect(text).not.toContain('test.note.written')
    expect(answer).toMatchObject({ status: 401 })
  })
})

describe('a credential with an end of its own', () => {
  it('closes its sockets with 4401 and its streams when it ends, and no others', async () => {
    stopWriting = writeUntilStopped(database.db)
    const end = Date.now() + 1_200
    const token = `eve/s+ends=${end}`
    const expiring = await follow(token, ['*'])
    const lasting = await follow('eve/t', ['*'])
    const stream = await fetch(`${rig.url}/api/changes/stream/`, { headers: { authorization: `Bearer ${token}` } })

    const code = await expiring.closed
    const endedAt = Date.now()
    await stream.text()

    expect(code).toBe(4401)
    expect(endedAt).toBeGreaterThanOrEqual(end)
    expect(endedAt).toBeLessThan(end + 1_500)
    expect(lasting.closeCode).toBeUndefined()
    lasting.socket.terminate()
  })
})

async function follow(token: string, topics: string[]): Promise<Client> {
  const client = await openClient(rig.url, token)
  await client.subscribe(topics)
  return client
}

function lastPosition(client: Client): number {
  return client.frames.findLast(({ type }) => type === 'change')?.position ?? 0
}

/** Positions of the changes that only some may hear. */
function notes(client: Client): number[] {
  return client.frames.filter(({ topic }) => topic === 'test.note.written').map(({ position }) => position)
}

/** Public changes and notes for staff, one transaction after the other. */
function writeUntilStopped(db: Db): () => Promise<void> {
  const stop = new AbortController()
  const writing = (async () => {
    for (let n = 1; !stop.signal.aborted; n++) {
      await recordThings(db, n, 1)
      await recordNote(db, n, ['staff'])
    }
  })()
  return async () => {
    stop.abort()
    await writing
  }
}

function endSignIn(name: string, signInId: string): Promise<string> {
  const data = { sign_in_id: signInId }
  const change = { topic: signInEnded, subjectId: userIdOf(name), actor: null, audience: ['staff' as const], data }
  return database.db.transaction((tx) => recordChange(tx, change))
}

function endUser(name: string): Promise<string> {
  const change = { topic: userEnded, subjectId: userIdOf(name), actor: null, audience: ['staff' as const], data: {} }
  return database.db.transaction((tx) => recordChange(tx, change))
}

function endStaff(name: string): Promise<string> {
  const change = { topic: staffEnded, subjectId: userIdOf(name), actor: null, audience: ['staff' as const], data: {} }
  return database.db.transaction((tx) => recordChange(tx, change))
}
