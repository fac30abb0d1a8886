import fc from 'fast-check'

import { expectBag } from './compare.ts'
import { anyOne, anyUser, anyLine, define, expectStatus, hasProducts, isTurnedAway, lineOf, userOf } from './command.ts'
import { expectOrdered, expectRefused } from './order-commands.ts'
import type { ModelLine, ModelUser } from './reference.ts'
import type { World } from './world.ts'

const anyQuantity = fc.integer({ min: 1, max: 3 })

const add = define(fc.record({ who: anyUser, line: anyLine }), {
  name: 'add to bag',
  isPossible: hasProducts,
  run: async (model, world, { who, line }) => {
    const user = userOf(model, who)
    const wanted = lineOf(model, line)
    const answer = await world.call('POST', '/api/bag/items/', user, asItem(wanted))
    if (isTurnedAway(user, answer)) return
    if (!model.isOrderable(wanted)) return expectRefused(answer, { result: 'missing', lines: [wanted] })
    expectStatus(answer, 201)
    putIn(user.bag, wanted)
    expectBag(answer, model, user)
  },
})

const replace = define(fc.record({ who: anyUser, lines: fc.array(anyLine, { maxLength: 4 }) }), {
  name: 'replace bag',
  isPossible: hasProducts,
  run: async (model, world, { who, lines }) => {
    const user = userOf(model, who)
    const bag: ModelLine[] = []
    for (const line of lines) putIn(bag, lineOf(model, line))
    const answer = await world.call('PUT', '/api/bag/', user, {
      items: lines.map((line) => asItem(lineOf(model, line))),
    })
    if (isTurnedAway(user, answer)) return
    const missing = bag.filter((line) => !model.isOrderable(line))
    if (missing.length > 0) return expectRefused(answer, { result: 'missing', lines: missing })
    expectStatus(answer, 200)
    user.bag = bag
    expectBag(answer, model, user)
  },
})

const setQuantity = define(fc.record({ who: anyUser, which: anyOne, quantity: anyQuantity }), {
  name: 'set quantity',
  isPossible: (model, { who }) => userOf(model, who).bag.length > 0,
  run: async (model, world, { who, which, quantity }) => {
    const user = userOf(model, who)
    const { line, url } = await lineIn(world, user, which)
    const answer = await world.call('PATCH', url, user, { quantity })
    expectStatus(answer, 200)
    line.quantity = quantity
    expectBag(answer, model, user)
  },
})

const takeOut = define(fc.record({ who: anyUser, thief: anyUser, which: anyOne }), {
  name: 'take out',
  isPossible: (model, { who }) => userOf(model, who).bag.length > 0,
  run: async (model, world, { who, thief, which }) => {
    const [user, other] = [userOf(model, who), userOf(model, thief)]
    const { line, url } = await lineIn(world, user, which)
    const answer = await world.call('DELETE', url, other)
    if (isTurnedAway(other, answer)) return
    expectStatus(answer, other === user ? 204 : 404)
    if (other === user) user.bag = user.bag.filter((kept) => kept !== line)
  },
})

const discard = define(fc.record({ who: anyUser }), {
  name: 'discard bag',
  run: async (model, world, { who }) => {
    const user = userOf(model, who)
    const answer = await world.call('DELETE', '/api/bag/', user)
    if (isTurnedAway(user, answer)) return
    expectStatus(answer, 204)
    user.bag = []
  },
})

const checkOut = define(fc.record({ who: anyUser }), {
  name: 'check out',
  run: async (model, world, { who }) => {
    const user = userOf(model, who)
    const answer = await world.call('POST', '/api/bag/checkout/', user)
    if (isTurnedAway(user, answer)) return
    if (user.bag.length === 0) return expectStatus(answer, 400)
    const lines = user.bag
    const taken = model.take(lines)
    if (taken.result !== 'taken') return expectRefused(answer, taken)
    user.bag = []
    expectOrdered(model, answer, user, lines)
  },
})

const look = define(fc.record({ who: anyUser }), {
  name: 'look into bag',
  run: async (model, world, { who }) => {
    const user = userOf(model, who)
    const answer = await world.call('GET', '/api/bag/', user)
    if (!isTurnedAway(user, answer)) expectBag(answer, model, user)
  },
})

function asItem({ product, variant, quantity }: ModelLine): object {
  return { product_id: product.id, variant, quantity }
}

function putIn(bag: ModelLine[], added: ModelLine): void {
  const line = bag.find(({ product, variant }) => product === added.product && variant === added.variant)
  if (line === undefined) bag.push({ ...added })
  else line.quantity += added.quantity
}

/** A line of the user's bag with the path under which the real one has it. */
async function lineIn(world: World, user: ModelUser, which: number): Promise<{ line: ModelLine; url: string }> {
  const place = which % user.bag.length
  const bag = (await world.call('GET', '/api/bag/', user)).json<{ items: { id: string }[] }>()
  return { line: user.bag[place]!, url: `/api/bag/items/${bag.items[place]!.id}/` }
}

export const bagCommands = [
  { weight: 7, arbitrary: add },
  { weight: 2, arbitrary: replace },
  { weight: 2, arbitrary: setQuantity },
  { weight: 2, arbitrary: takeOut },
  { weight: 1, arbitrary: discard },
  { weight: 6, arbitrary: checkOut },
  { weight: 2, arbitrary: look },
]
