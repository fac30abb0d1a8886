import { afterEach, describe, expect, it } from 'vitest'

import { until } from '../../test/support/until.ts'
import { redisIsMissing } from '../../test/support/redis.ts'
import { firstTold, openRig, TAGS, toldBy, type StreamRig, type Told } from '../../test/support/stream.ts'

const ROWS = 7
const WRITES = 600

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe.skipIf(redisIsMissing !== undefined)(`under load${redisIsMissing ? ` (${redisIsMissing})` : ''}`, () => {
  let rig: StreamRig

  afterEach(() => rig.close())

  /** What a consumer of a group has been given by now; a wiped Redis gives it again. */
  function consume(): { told: Told[]; stop(): Promise<void> } {
    const client = rig.redis.client()
    const told: Told[] = []
    let isStopped = false
    const read = async (from: '0' | '>'): Promise<void> => {
      const reply = await client.xreadgroup('GROUP', 'g', 'c', 'COUNT', 100, 'BLOCK', 50, 'STREAMS', TAGS, from)
      const streams = (reply ?? []) as [string, [string, string[]][]][]
      for (const [id, fields] of streams[0]?.[1] ?? []) {
        told.push(toldBy(fields))
        await client.xack(TAGS, 'g', id)
      }
    }
    const run = async (): Promise<void> => {
      while (!isStopped) {
        try {
          // What it was given in an answer that got lost, then new ones.
          await read('0')
          await read('>')
        } catch {
          await pause(5)
          await client.xgroup('CREATE', TAGS, 'g', '0', 'MKSTREAM').catch(() => undefined)
        }
      }
    }
    const running = run()
    return {
      told,
      stop: async () => {
        isStopped = true
        await running
        client.disconnect()
      },
    }
  }

  /** Changes a few rows over and over while something is done to Redis, and returns what a consumer was told. */
  async function underLoad(harm: () => Promise<void>): Promise<Told[]> {
    const consumer = consume()
    await Promise.all([rig.publish(), rig.publish()])
    const rows = await Promise.all(Array.from({ length: ROWS }, () => rig.write()))
    const harming = harm()
    while (rig.written < WRITES) await Promise.all(rows.map((row) => rig.write(row)))
    await harming
    await until(
      'the consumer has heard of everything',
      () => new Set(consumer.told.map((t) => t.number)).size >= rig.written,
      30_000,
    )
    await consumer.stop()
    return consumer.told
  }

  /** Every number once, each row's in the order of its commits. */
  function expectComplete(told: readonly Told[]): void {
    const rows = [...firstTold(told).values()]
    expect(rows.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: rig.written }, (_, n) => n + 1))
    for (const numbers of rows) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  }

  it('loses and repeats nothing while a Redis that keeps what it has is killed and started again', async () => {
    rig = await openRig({ redisArgs: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    const told = await underLoad(async () => {
      for (let n = 0; n < 3; n++) {
        await pause(150)
        await rig.redis.end('SIGKILL')
        await pause(150)
        await rig.redis.start()
      }
    })

    expectComplete(told)
    // The consumer may be told again what it had not acknowledged.
    expect(told.length - rig.written).toBeLessThanOrEqual(3 * 100)
    expect(await rig.client.xlen(TAGS)).toBe(rig.written)
  })

  it('loses nothing of a Redis that is wiped, and repeats what the streams held once per wipe', async () => {
    rig = await openRig()
    const wipes = 3
    const told = await underLoad(async () => {
      for (let n = 0; n < wipes; n++) {
        await pause(200)
        await rig.client.flushall()
      }
    })

    expectComplete(told)
    expect(told.length).toBeLessThanOrEqual((wipes + 1) * rig.written)
    await until('the stream is as it was', async () => (await rig.client.xlen(TAGS)) === rig.written)
  })

  it('loses nothing of a Redis without persistence that is killed and started again', async () => {
    rig = await openRig()
    const told = await underLoad(async () => {
      await pause(200)
      await rig.redis.end('SIGKILL')
      await pause(100)
      await rig.redis.start()
    })

    expectComplete(told)
    expect(told.length).toBeLessThanOrEqual(2 * rig.written)
  })
})
