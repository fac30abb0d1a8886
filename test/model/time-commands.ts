import fc from 'fast-check'

import { anyUser, define, expectStatus, userOf } from './command.ts'

/** Orders are kept apart by microseconds, which the model does not know: no sum of these is the window to the millisecond. */
const anyWhile = fc.constantFrom(1_001, 20_001, 59_001, 61_001, 61_001)

const pass = define(fc.record({ ms: anyWhile }), {
  name: 'pass',
  run: async (model, world, { ms }) => {
    world.clock.advance(ms)
    model.now += ms
  },
})

const sweep = define(fc.constant({}), {
  name: 'sweep',
  run: async (model, world) => {
    await world.sweep()
    model.sweep()
  },
})

const settle = define(fc.constant({}), {
  name: 'settle',
  run: async (model, world) => {
    await world.settle()
    model.settle()
  },
})

const deleteUser = define(fc.record({ who: anyUser }), {
  name: 'delete user',
  isPossible: (model) => model.users.filter(({ isDeleted }) => !isDeleted).length > 1,
  run: async (model, world, { who }) => {
    const user = userOf(model, who)
    const answer = await world.call('DELETE', `/api/user/${user.id}/`, user)
    expectStatus(answer, user.isDeleted ? 401 : 200)
    if (!user.isDeleted) model.deleteUser(user)
  },
})

export const timeCommands = [
  { weight: 8, arbitrary: pass },
  { weight: 2, arbitrary: sweep },
  { weight: 3, arbitrary: settle },
  { weight: 1, arbitrary: deleteUser },
]
