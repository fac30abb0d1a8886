import type { FilledBag } from './bag.ts'

/** The bag of the store contract, section 4, at the prices of this moment. */
export function presentBag(bag: FilledBag) {
  const items = bag.lines.map(presentLine)
  return {
    id: bag.id,
    state: bag.state,
    items,
    total: items.reduce((sum, item) => sum + (item.purchasable ? item.subtotal : 0), 0),
    created: bag.created,
    updated: bag.updated,
  }
}

function presentLine({ id, productId, variant, quantity, offer }: FilledBag['lines'][number]) {
  return {
    id,
    product_id: productId,
    variant,
    quantity,
    title: offer.title,
    unit_price: offer.price,
    subtotal: offer.price * quantity,
    available: offer.available,
    purchasable: offer.isOrderable && offer.available >= quantity,
  }
}
