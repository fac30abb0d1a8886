import type { Buyer } from '../races/buyers.ts'

/** What a user is to the model: a name in the order of signing up, a bag, and whether it is still there. */
export interface ModelUser extends Buyer {
  isDeleted: boolean
  bag: ModelLine[]
}

export interface ModelProduct {
  id: string
  owner: ModelUser
  title: string
  price: number
  stock: Map<string, number>
  state: 'DRAFT' | 'AVAILABLE' | 'DELETED'
}

export interface ModelLine {
  product: ModelProduct
  variant: string
  quantity: number
}

export interface ModelOrder {
  id: string
  customer: ModelUser
  state: string
  lines: (ModelLine & { unitPrice: number })[]
  /** Milliseconds since 1970. */
  confirmBefore: number
  payment: { reference: string; status: 'pending' | 'accepted' | 'declined' } | undefined
}

export type Taken =
  | { result: 'taken' }
  | { result: 'missing'; lines: readonly ModelLine[] }
  | { result: 'short'; lines: readonly ModelLine[] }

/** The store as the contract describes it, with nothing that is durable or concurrent: what the real one is compared with. */
export class StoreModel {
  users: ModelUser[]
  products: ModelProduct[] = []
  orders: ModelOrder[] = []
  /** Milliseconds since 1970. */
  now: number

  constructor(users: readonly Buyer[], now: number) {
    this.users = users.map((user) => ({ ...user, isDeleted: false, bag: [] }))
    this.now = now
  }

  isVisible(product: ModelProduct, to: ModelUser): boolean {
    if (product.state === 'DELETED') return false
    return product.owner === to || (product.state === 'AVAILABLE' && !product.owner.isDeleted)
  }

  isOrderable({ product, variant }: ModelLine): boolean {
    return product.state === 'AVAILABLE' && !product.owner.isDeleted && product.stock.has(variant)
  }

  free({ product, variant }: ModelLine): number {
    return product.stock.get(variant) ?? 0
  }

  isDue(order: ModelOrder): boolean {
    return order.state === 'PENDING_CONFIRMATION' && order.confirmBefore <= this.now
  }

  /** The state that a reader is shown: time passes also while nobody writes it down. */
  shownState(order: ModelOrder): string {
    return this.isDue(order) ? 'NOT_CONFIRMED' : order.state
  }

  /** All units or none. Orders past their time hold none: those that want what is short end first. */
  take(lines: readonly ModelLine[]): Taken {
    const missing = lines.filter((line) => !this.isOrderable(line))
    if (missing.length > 0) return { result: 'missing', lines: missing }
    const wanted = lines.filter((line) => this.free(line) < line.quantity)
    for (const order of this.orders) if (this.isDue(order) && holdsAny(order, wanted)) this.end(order, 'NOT_CONFIRMED')
    const short = lines.filter((line) => this.free(line) < line.quantity)
    if (short.length > 0) return { result: 'short', lines: short }
    for (const line of lines) addUnits(line, -line.quantity)
    return { result: 'taken' }
  }

  /** Ends an order and gives its units back to what is left of its products. */
  end(order: ModelOrder, state: 'NOT_CONFIRMED' | 'CANCELLED'): void {
    order.state = state
    if (order.payment !== undefined) order.payment.status = 'declined'
    for (const line of order.lines) addUnits(line, line.quantity)
  }

  sweep(): void {
    for (const order of this.orders) if (this.isDue(order)) this.end(order, 'NOT_CONFIRMED')
  }

  /** What the pseudo provider makes of every payment that waits. */
  settle(): void {
    for (const order of this.orders) {
      if (order.state !== 'CONFIRMED' || order.payment === undefined) continue
      const { reference } = order.payment
      if (reference.startsWith('pseudo-decline')) this.end(order, 'CANCELLED')
      else if (!reference.startsWith('pseudo-hold')) this.accept(order)
    }
  }

  accept(order: ModelOrder): void {
    order.state = 'ACCEPTED'
    if (order.payment !== undefined) order.payment.status = 'accepted'
  }

  deleteProduct(product: ModelProduct): void {
    product.state = 'DELETED'
    product.stock.clear()
  }

  deleteUser(user: ModelUser): void {
    user.isDeleted = true
    user.bag = []
    for (const order of this.orders) {
      if (order.customer !== user || order.state !== 'PENDING_CONFIRMATION') continue
      this.end(order, this.isDue(order) ? 'NOT_CONFIRMED' : 'CANCELLED')
    }
  }
}

/** What is gone is not brought back. */
function addUnits({ product, variant }: ModelLine, units: number): void {
  const free = product.stock.get(variant)
  if (product.state !== 'DELETED' && free !== undefined) product.stock.set(variant, free + units)
}

function holdsAny(order: ModelOrder, lines: readonly ModelLine[]): boolean {
  return order.lines.some((held) =>
    lines.some((line) => line.product === held.product && line.variant === held.variant),
  )
}
