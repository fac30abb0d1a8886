import { afterEach, describe, expect, it } from 'vitest'

import { until } from '../../test/support/until.ts'
import { redisIsMissing } from '../../test/support/redis.ts'
import { openRig, TAGS, type StreamRig } from '../../test/support/stream.ts'
import { sql } from '../platform/db/sql.ts'

const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always']

describe.skipIf(redisIsMissing !== undefined)(`the publisher${redisIsMissing ? ` (${redisIsMissing})` : ''}`, () => {
  let rig: StreamRig

  afterEach(() => rig.close())

  const numbers = async (): Promise<number[]> => (await rig.told()).map((told) => told.number)
  const upTo = (last: number): number[] => Array.from({ length: last }, (_, n) => n + 1)

  async function writeMany(count: number): Promise<void> {
    for (let n = 0; n < count; n++) await rig.write()
  }

  /** What the stream has once it has as many entries as were written. */
  async function published(count = rig.written): Promise<number[]> {
    await until('all is published', async () => (await rig.client.xlen(TAGS)) >= count)
    return numbers()
  }

  it('publishes what was committed before it started, and what is while Redis is away, once and in order', async () => {
    rig = await openRig({ redisArgs: DURABLE })
    await writeMany(10)
    const publisher = await rig.publish()
    expect(await published()).toEqual(upTo(rig.written))
    await rig.redis.end('SIGTERM')
    await writeMany(700)
    await until('it says what is wrong', () => publisher.problem?.includes('does not answer') ?? false)
    await rig.redis.start()

    expect(await published()).toEqual(upTo(rig.written))
    await until('it has nothing to say any more', () => publisher.problem === undefined)
  })

  it('does not begin with a failure while Redis is there', async () => {
    rig = await openRig()
    const publisher = await rig.publish()

    await new Promise((resolve) => setImmediate(resolve))
    expect(publisher.problem).toBeUndefined()
  })

  it('starts without Redis', async () => {
    rig = await openRig()
    await rig.redis.end()
    const publisher = await rig.publish()
    await writeMany(3)
    await until('it says so', () => publisher.problem !== undefined)
    await rig.redis.start()

    expect(await published()).toEqual(upTo(rig.written))
  })

  it('publishes again what a wiped Redis has lost, also when nothing new is committed', async () => {
    rig = await openRig()
    await rig.publish()
    await writeMany(20)
    expect(await published()).toEqual(upTo(rig.written))
    await rig.client.flushall()

    expect(await published()).toEqual(upTo(rig.written))
    await rig.redis.end('SIGKILL')
    await rig.redis.start()
    expect(await published()).toEqual(upTo(rig.written))
  })

  it('publishes again no more than what a Redis restored from an older copy has lost', async () => {
    rig = await openRig()
    await rig.publish()
    await writeMany(5)
    expect(await published()).toEqual(upTo(rig.written))
    await rig.client.call('SAVE')
    await writeMany(5)
    expect(await published()).toEqual(upTo(rig.written))
    await rig.redis.end('SIGKILL')
    await rig.redis.start()

    expect(await published()).toEqual(upTo(rig.written))
  })

  it.each([
    ['is out of memory', ['maxmemory', '1mb'], ['maxmemory', '0'], 'OOM'],
    ['has become a replica', ['replicaof', '127.0.0.1 1'], undefined, 'READONLY'],
  ])('waits while Redis %s, and says so', async (_what, broken, repaired, words) => {
    rig = await openRig()
    const publisher = await rig.publish()
    await rig.write()
    expect(await published()).toEqual(upTo(rig.written))
    if (repaired === undefined) await rig.client.replicaof('127.0.0.1', '1')
    else await rig.client.config('SET', ...(broken as [string, string]))
    await writeMany(30)
    await until('it says what is wrong', () => publisher.problem?.includes(words) ?? false)
    expect(await numbers()).toEqual([1])
    if (repaired === undefined) await rig.client.replicaof('NO', 'ONE')
    else await rig.client.config('SET', ...(repaired as [string, string]))

    expect(await published()).toEqual(upTo(rig.written))
  })

  it('writes nothing at all while the name of one stream is taken by something else', async () => {
    rig = await openRig()
    await rig.client.set(TAGS, 'mine')
    const publisher = await rig.publish()
    await rig.db.transaction(async (tx) => {
      await tx.run(sql`INSERT INTO users (id, username, password_hash) VALUES (gen_random_uuid(), 'ann', 'x')`)
      await tx.run(sql`
        INSERT INTO products (id, owner_id, title, description, price, state, created, updated)
        SELECT gen_random_uuid(), id, 't', 'd', 1, 'AVAILABLE', now(), now() FROM users`)
    })
    await writeMany(2)
    await until('it says what is wrong', () => publisher.problem?.includes(`${TAGS} is a string`) ?? false)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await rig.client.del(TAGS)

    expect(await published()).toEqual(upTo(rig.written))
    expect(await rig.client.xlen('souk.public.products')).toBe(1)
  })

  it('sits out a Redis that stands still', async () => {
    rig = await openRig()
    await rig.publish()
    await writeMany(5)
    rig.redis.signal('SIGSTOP')
    await writeMany(100)
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    rig.redis.signal('SIGCONT')

    expect(await published()).toEqual(upTo(rig.written))
  })

  it('lets one of several work, and another go on at once when that one stops', async () => {
    rig = await openRig()
    const publishers = [await rig.publish(), await rig.publish(), await rig.publish()]
    for (const publisher of publishers) {
      await writeMany(50)
      expect(await published()).toEqual(upTo(rig.written))
      await publisher.stop()
    }
  })

  it('goes on where the database is after that was restored from a backup', async () => {
    rig = await openRig()
    const first = await rig.publish()
    await writeMany(6)
    expect(await published()).toEqual(upTo(rig.written))
    await writeMany(4)
    expect(await published()).toEqual(upTo(rig.written))
    await first.stop()
    // As they were after the sixth change; others will take the places of those that followed.
    await rig.db.run(sql`DELETE FROM row_change_positions WHERE position > 6`)
    await rig.db.run(sql`DELETE FROM row_changes WHERE seq > 6`)
    await rig.db.run(sql`DELETE FROM row_change_passes WHERE position > 6`)
    await rig.db.run(sql`DELETE FROM row_change_cursors WHERE position > 6`)
    await writeMany(8)
    await rig.publish({ epoch: 'two-2' })

    expect(await published()).toEqual(upTo(rig.written))
  })

  it('keeps about as many entries of a stream as it is told', async () => {
    rig = await openRig({ maxLength: 300 })
    await rig.publish()
    await rig.db.run(sql`
      INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
      SELECT gen_random_uuid(), n, n, n, n, now(), now() FROM (SELECT generate_series(1, 3000)::text AS n) numbers`)
    await until('the last is there', async () => (await rig.told()).at(-1)?.number === 3_000)

    const length = await rig.client.xlen(TAGS)
    expect(length).toBeGreaterThanOrEqual(300)
    expect(length).toBeLessThan(600)
  })

  it('takes large rows in small batches', async () => {
    rig = await openRig()
    await rig.publish()
    await rig.db.run(sql`
      INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
      SELECT gen_random_uuid(), repeat('x', 1000000), n, n, n, now(), now() FROM (SELECT generate_series(1, 20)::text AS n) numbers`)
    await until('all are there', async () => (await rig.client.xlen(TAGS)) >= 20)

    expect(await published(20)).toEqual(upTo(20))
  })
})
