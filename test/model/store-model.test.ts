import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { insertBuyers } from '../races/buyers.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { bagCommands } from './bag-commands.ts'
import { compareAll } from './compare.ts'
import { orderCommands } from './order-commands.ts'
import { productCommands } from './product-commands.ts'
import { StoreModel } from './reference.ts'
import { timeCommands } from './time-commands.ts'
import { CONFIRM_WINDOW_SECONDS, createFakeClock, createWorld, type World } from './world.ts'

/** In a life of the store. */
const MOST_COMMANDS = 100
const USERS = 3
/** Without MODEL_COMMANDS: what fits into this time. */
const QUICK_MS = 12_000
const SLOW_LIMIT_MS = 30 * 60_000

const wanted = process.env.MODEL_COMMANDS === undefined ? undefined : Number(process.env.MODEL_COMMANDS)
const clock = createFakeClock()
let souk: TestApp
let world: World
let commandsRun = 0

beforeAll(async () => {
  souk = await startTestApp({
    role: 'api',
    clock,
    env: { CONFIRM_WINDOW_SECONDS: String(CONFIRM_WINDOW_SECONDS) },
  })
  world = await createWorld(souk, clock, () => (commandsRun += 1))
})
afterAll(() => souk.close())

/** What a failing run prints, given back in MODEL_SEED, MODEL_PATH and MODEL_REPLAY, runs that one alone. */
const { MODEL_SEED: seed, MODEL_PATH: path, MODEL_REPLAY: replayPath } = process.env

test(
  'the store answers any sequence of commands as its model does',
  async () => {
    const all = [...productCommands, ...bagCommands, ...orderCommands, ...timeCommands]
    const commands = fc.commands(all, { maxCommands: MOST_COMMANDS, size: 'max', ...(replayPath && { replayPath }) })
    const life = fc.asyncProperty(commands, async (given) => {
      const users = await insertBuyers(souk.db, USERS)
      const model = new StoreModel(users, clock.now().getTime())
      await fc.asyncModelRun(() => ({ model, real: world }), given)
      await world.sweep()
      model.sweep()
      await compareAll(model, world)
    })
    const parameters = {
      seed: seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seed),
      ...(path && { path }),
      numRuns: 100_000,
      interruptAfterTimeLimit: wanted === undefined ? QUICK_MS : SLOW_LIMIT_MS,
      markInterruptAsFailure: false,
    }

    await fc.assert(life, parameters)

    expect(commandsRun).toBeGreaterThan(100)
  },
  SLOW_LIMIT_MS,
)
