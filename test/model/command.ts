import fc from 'fast-check'
import type { LightMyRequestResponse } from 'fastify'

import type { ModelLine, ModelOrder, ModelProduct, ModelUser, StoreModel } from './reference.ts'
import type { World } from './world.ts'

export type StoreCommand = fc.AsyncCommand<StoreModel, World>

interface Definition<Given> {
  name: string
  /** Default: always possible. */
  isPossible?: (model: StoreModel, given: Given) => boolean
  run: (model: StoreModel, world: World, given: Given) => Promise<void>
}

/** Users are named by their place; products and orders by any number, which is wrapped around how many there are. */
export const anyUser = fc.nat({ max: 2 })
/** Undefined: whose it is, the owner of a product or the customer of an order. */
export const mostlyOwner = fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: anyUser })
export const anyOne = fc.nat({ max: 30 })
export const anyVariant = fc.constantFrom('default', 'S', 'M')

/** Mostly a variant that can be ordered. */
export const anyLine = fc.record({
  which: anyOne,
  variant: fc.oneof({ weight: 8, arbitrary: fc.nat({ max: 2 }) }, { weight: 1, arbitrary: anyVariant }),
  quantity: fc.integer({ min: 1, max: 3 }),
})

interface GivenLine {
  which: number
  /** By name of any product, or by its place in one that is on offer. */
  variant: number | string
  quantity: number
}

export function lineOf(model: StoreModel, { which, variant, quantity }: GivenLine): ModelLine {
  const onOffer = model.products.filter(({ state, owner }) => state === 'AVAILABLE' && !owner.isDeleted)
  const product = onOffer[which % onOffer.length]
  if (product === undefined || typeof variant === 'string')
    return { product: productOf(model, which), variant: String(variant), quantity }
  const names = [...product.stock.keys()]
  return { product, variant: names[variant % names.length]!, quantity }
}

/** A kind of command with what it is given; its text is what a failing run prints. */
export function define<Given>(given: fc.Arbitrary<Given>, definition: Definition<Given>): fc.Arbitrary<StoreCommand> {
  const { name, isPossible = () => true, run } = definition
  return given.map((values) => ({
    check: (model) => isPossible(model, values),
    run: async (model, world) => {
      world.count()
      await run(model, world, values)
    },
    toString: () => `${name}(${fc.stringify(values)})`,
  }))
}

export const hasProducts = (model: StoreModel): boolean => model.products.length > 0
export const hasOrders = (model: StoreModel): boolean => model.orders.length > 0

export function userOf(model: StoreModel, place: number): ModelUser {
  return model.users[place % model.users.length]!
}

export function productOf(model: StoreModel, place: number): ModelProduct {
  return model.products[place % model.products.length]!
}

export function orderOf(model: StoreModel, place: number): ModelOrder {
  return model.orders[place % model.orders.length]!
}

/** Whoever is deleted is answered with 401, whatever is asked; true when that was so. */
export function isTurnedAway(user: ModelUser, answer: LightMyRequestResponse): boolean {
  if (user.isDeleted) expectStatus(answer, 401)
  return user.isDeleted
}

export function expectStatus(answer: LightMyRequestResponse, status: number): void {
  if (answer.statusCode !== status) throw new Error(`${status} was expected, ${answer.statusCode} came: ${answer.body}`)
}
