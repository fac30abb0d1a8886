import fc from 'fast-check'

import { expectProduct } from './compare.ts'
import {
  anyOne,
  anyUser,
  anyVariant,
  define,
  expectStatus,
  hasProducts,
  isTurnedAway,
  mostlyOwner,
  productOf,
  userOf,
} from './command.ts'
import type { ModelProduct, ModelUser, StoreModel } from './reference.ts'
import type { World } from './world.ts'

/** Few units, so that orders compete for them. */
const anyStock = fc.dictionary(anyVariant, fc.nat({ max: 7 }), { minKeys: 1, maxKeys: 3 })
const anyTitle = fc.constantFrom('A lamp', 'A chair', 'A table')
const anyPrice = fc.integer({ min: 1, max: 1000 })

const create = define(
  fc.record({
    who: anyUser,
    title: anyTitle,
    price: anyPrice,
    stock: anyStock,
    state: fc.constantFrom('AVAILABLE' as const, 'AVAILABLE' as const, 'DRAFT' as const),
  }),
  {
    name: 'create',
    run: async (model, world, { who, title, price, stock, state }) => {
      const owner = userOf(model, who)
      const body = { title, description: 'Of wood.', price, stock, state }
      const answer = await world.call('POST', '/api/products/', owner, body)
      if (isTurnedAway(owner, answer)) return
      expectStatus(answer, 201)
      const { id } = answer.json<{ id: string }>()
      const product: ModelProduct = { id, owner, title, price, stock: new Map(Object.entries(stock)), state }
      model.products.push(product)
      expectProduct(answer, product)
    },
  },
)

const replace = define(
  fc.record({ who: mostlyOwner, which: anyOne, title: anyTitle, price: anyPrice, stock: anyStock }),
  {
    name: 'replace',
    isPossible: hasProducts,
    run: async (model, world, { who, which, title, price, stock }) => {
      const product = productOf(model, which)
      const user = who === undefined ? product.owner : userOf(model, who)
      const body = { title, description: 'Of oak.', price, stock }
      const answer = await world.call('PUT', `/api/products/${product.id}/`, user, body)
      if (isTurnedAway(user, answer)) return
      const status = statusFor(model, product, user)
      expectStatus(answer, status)
      if (status !== 200) return
      Object.assign(product, { title, price, stock: new Map(Object.entries(stock)) })
      expectProduct(answer, product)
    },
  },
)

const change = define(
  fc.record({
    who: mostlyOwner,
    which: anyOne,
    body: fc.record({ title: anyTitle, price: anyPrice, stock: anyStock }, { requiredKeys: [] }),
  }),
  {
    name: 'change',
    isPossible: hasProducts,
    run: async (model, world, { who, which, body }) => {
      const product = productOf(model, which)
      const user = who === undefined ? product.owner : userOf(model, who)
      const answer = await world.call('PATCH', `/api/products/${product.id}/`, user, body)
      if (isTurnedAway(user, answer)) return
      const status = statusFor(model, product, user)
      expectStatus(answer, status)
      if (status !== 200) return
      const { stock, ...rest } = body
      Object.assign(product, rest, stock === undefined ? {} : { stock: new Map(Object.entries(stock)) })
      expectProduct(answer, product)
    },
  },
)

const move = define(
  fc.record({ who: mostlyOwner, which: anyOne, action: fc.constantFrom('publish' as const, 'withdraw' as const) }),
  {
    name: 'move',
    isPossible: hasProducts,
    run: async (model, world, { who, which, action }) => {
      const product = productOf(model, which)
      const user = who === undefined ? product.owner : userOf(model, who)
      const answer = await world.call('POST', `/api/products/${product.id}/${action}/`, user)
      if (isTurnedAway(user, answer)) return
      const [from, to] = action === 'publish' ? (['DRAFT', 'AVAILABLE'] as const) : (['AVAILABLE', 'DRAFT'] as const)
      const status = statusFor(model, product, user)
      const isAllowed = status !== 200 || product.state === from
      expectStatus(answer, isAllowed ? status : 400)
      if (answer.statusCode === 200) product.state = to
    },
  },
)

const remove = define(fc.record({ who: mostlyOwner, which: anyOne }), {
  name: 'remove',
  isPossible: hasProducts,
  run: async (model, world, { who, which }) => {
    const product = productOf(model, which)
    const user = who === undefined ? product.owner : userOf(model, who)
    const answer = await world.call('DELETE', `/api/products/${product.id}/`, user)
    if (isTurnedAway(user, answer)) return
    const status = statusFor(model, product, user)
    expectStatus(answer, status === 200 ? 204 : status)
    if (status === 200) model.deleteProduct(product)
  },
})

const read = define(fc.record({ who: mostlyOwner, which: anyOne }), {
  name: 'read',
  isPossible: hasProducts,
  run: async (model, world, { who, which }) => {
    const product = productOf(model, which)
    const user = who === undefined ? product.owner : userOf(model, who)
    const answer = await world.call('GET', `/api/products/${product.id}/`, user)
    if (isTurnedAway(user, answer)) return
    expectStatus(answer, model.isVisible(product, user) ? 200 : 404)
    if (answer.statusCode === 200) expectProduct(answer, product)
  },
})

/** What a change of this product by this user is answered with: hidden ones are not there, others' are not theirs. */
function statusFor(model: StoreModel, product: ModelProduct, user: ModelUser): number {
  if (!model.isVisible(product, user)) return 404
  return product.owner === user ? 200 : 403
}

/** What the first two users sell before the first command. */
export async function stockShelves(model: StoreModel, world: World): Promise<void> {
  for (const owner of model.users.slice(0, 2)) {
    const stock = { default: 6, S: 2, M: 4 }
    const answer = await world.call('POST', '/api/products/', owner, {
      title: 'A bed',
      description: 'Of iron.',
      price: 100,
      stock,
    })
    const { id } = answer.json<{ id: string }>()
    const state = 'AVAILABLE'
    model.products.push({ id, owner, title: 'A bed', price: 100, stock: new Map(Object.entries(stock)), state })
  }
}

export const productCommands = [
  { weight: 6, arbitrary: create },
  { weight: 2, arbitrary: replace },
  { weight: 3, arbitrary: change },
  { weight: 3, arbitrary: move },
  { weight: 1, arbitrary: remove },
  { weight: 2, arbitrary: read },
]
