import { afterAll, beforeAll, expect, it } from 'vitest'

import { stateMachines } from '../../src/app.ts'
import { toMermaid } from '../../src/platform/state-machine/mermaid.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let souk: TestApp
beforeAll(async () => {
  souk = await startTestApp({ role: 'api' })
})
afterAll(() => souk.close())

const get = (path: string, headers = {}) => souk.inject({ method: 'GET', url: `/api/state-machines/${path}`, headers })

it.each(['bag', 'order', 'product', 'orders'])('draws %s for everybody', async (noun) => {
  const svg = await get(`${noun}.svg`)

  expect(svg.statusCode).toBe(200)
  expect(svg.headers['content-type']).toBe('image/svg+xml; charset=utf-8')
  expect(svg.headers['cache-control']).toBe('public, max-age=3600')
  expect(svg.headers['content-security-policy']).toContain("default-src 'none'")
  expect(svg.body).toMatch(/^<svg /)
})

it('answers 304 to a reader who has the drawing', async () => {
  const { headers } = await get('bag.svg')

  const again = await get('bag.svg/', { 'if-none-match': headers['etag'] })

  expect([again.statusCode, again.body]).toEqual([304, ''])
})

it('serves the Mermaid diagram', async () => {
  const mermaid = await get('bag.mmd')

  expect(mermaid.headers['content-type']).toBe('text/plain; charset=utf-8')
  expect(mermaid.body).toBe(toMermaid(stateMachines.find(({ noun }) => noun === 'bag')!))
})

it('lists the machines as data', async () => {
  const list = (await get('')).json<{ noun: string }[]>()

  expect(list.map(({ noun }) => noun).toSorted()).toEqual(['bag', 'order', 'product'])
  expect(list.find(({ noun }) => noun === 'bag')).toMatchObject({
    states: [{ name: 'OPEN', is_final: false }, { name: 'CHECKED_OUT', is_final: true }, { name: 'DISCARDED' }],
    transitions: [{ from: null, to: 'OPEN', trigger: 'open' }, { effect: expect.any(String) }, { trigger: 'discard' }],
    svg: '/api/state-machines/bag.svg',
    mermaid: '/api/state-machines/bag.mmd',
  })
})

it.each(['cart.svg', 'bag', 'bag.png', '.svg', 'bag.svg.mmd', '%00.svg', '..%2forder.svg', 'x'.repeat(1_500)])(
  'answers 404 to %s',
  async (file) => {
    expect((await get(file)).statusCode).toBe(404)
  },
)
