import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../../test/support/app.ts'
import { sql } from '../../../platform/db/sql.ts'
import { nextState, triggersOf } from '../../../platform/state-machine.ts'
import { bagStates, type BagState } from './bag-states.ts'

let souk: TestApp
let productId: string
beforeAll(async () => {
  souk = await startTestApp()
  const { headers } = await souk.signUp()
  const payload = { title: 'Mug', description: 'A mug.', price: 100, stock: { default: 100 } }
  const product = await souk.inject({ method: 'POST', url: '/api/products/', headers, payload })
  productId = product.json<{ id: string }>().id
})
afterAll(() => souk.close())

const requests = {
  open: { method: 'GET', url: '/api/bag/' },
  'check out': { method: 'POST', url: '/api/bag/checkout/' },
  discard: { method: 'DELETE', url: '/api/bag/' },
} as const
type Trigger = keyof typeof requests

const pull = (trigger: Trigger, { headers }: TestUser) => souk.inject({ ...requests[trigger], headers })

/** A bag with something in it, brought to the state by the way the machine itself names. */
async function bagIn(state: BagState, owner: TestUser): Promise<string> {
  const payload = { product_id: productId }
  const added = await souk.inject({ method: 'POST', url: '/api/bag/items/', headers: owner.headers, payload })
  const way = bagStates.transitions.find(({ from, to }) => from === 'OPEN' && to === state)
  if (way !== undefined) await pull(way.trigger, owner)
  return added.json<{ id: string }>().id
}

const pairs = bagStates.states.flatMap(({ name }) => triggersOf(bagStates).map((trigger) => [name, trigger] as const))

it.each(pairs)('takes a bag that is %s by "%s" where the machine says, or leaves it', async (state, trigger) => {
  const owner = await souk.signUp()
  const id = await bagIn(state, owner)

  await pull(trigger, owner)

  const row = await souk.db.row(sql`SELECT state FROM bags WHERE id = ${id}`)
  expect(row).toEqual({ state: nextState(bagStates, state, trigger) ?? state })
})

it('has the steps of the store contract, section 4', () => {
  expect(bagStates.transitions.map(({ from, to, trigger }) => [from, to, trigger])).toEqual([
    [null, 'OPEN', 'open'],
    ['OPEN', 'CHECKED_OUT', 'check out'],
    ['OPEN', 'DISCARDED', 'discard'],
  ])
})
