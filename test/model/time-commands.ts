import fc from 'fast-check'

import { anyUser, define, expectStatus, userOf } from './command.ts'

const pass = define(fc.record({ seconds: fc.constantFrom(1, 20, 59, 61) }), {
  name: 'pass',
  run: async (model, world, { seconds }) => {
    world.clock.advance(seconds * 1000)
    model.now += seconds * 1000
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

export const timeCommands = [pass, pass, pass, sweep, settle, deleteUser]
