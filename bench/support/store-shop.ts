import type { LoadTarget } from './load.ts'
import type { SampleUser } from './store-users.ts'

export interface Variant {
  id: string
  variant: string
}

export interface Shop {
  url: string
  bareUrl: string
  buyers: readonly SampleUser[]
  /** With units for as many orders as a run places. */
  variants: readonly Variant[]
}

/** `count` different variants, the next ones of the sample for each `start`. */
export function variantsFrom({ variants }: Shop, start: number, count: number): Variant[] {
  return Array.from({ length: count }, (_, n) => variants[(start + n) % variants.length]!)
}

export function buyerTarget({ url, buyers }: Shop, n: number): LoadTarget & { headers: Record<string, string> } {
  const { headers } = buyers[n % buyers.length]!
  return { url, headers: { ...headers, 'content-type': 'application/json' } }
}

export function orderTarget(shop: Shop, lines: (n: number) => Variant[]): LoadTarget {
  return {
    url: `${shop.url}/api/orders/`,
    method: 'POST',
    headers: (n) => buyerTarget(shop, n).headers,
    body: (n) => JSON.stringify({ products: oneEach(lines(n)) }),
  }
}

export function bareOrderTarget({ bareUrl, buyers }: Shop, lines: (n: number) => Variant[]): LoadTarget {
  const body = (n: number): string =>
    JSON.stringify({ customer: buyers[n % buyers.length]!.id, products: oneEach(lines(n)) })
  return { url: `${bareUrl}/orders`, method: 'POST', body }
}

function oneEach(variants: readonly Variant[]): (Variant & { quantity: number })[] {
  return variants.map((variant) => ({ ...variant, quantity: 1 }))
}
