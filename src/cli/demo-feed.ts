const kinds = [
  'linen dress',
  'leather tote',
  'silk scarf',
  'wool coat',
  'canvas sneakers',
  'denim jacket',
  'knit cardigan',
  'satin skirt',
]
const colors = ['Ivory', 'Black', 'Terracotta', 'Navy', 'Olive', 'Sand']
const genders = ['female', 'male', 'unisex']
const CDATA = (text: string): string => `<![CDATA[${text}]]>`

export interface DemoItem {
  id: string
  title: string
  brand: string
  price: number
}

/** Believable goods of one house, the same for the same arguments; ids begin with `prefix` so that demos do not meet. */
export function demoItems(brand: string, prefix: string, count: number): DemoItem[] {
  return Array.from({ length: count }, (_, n) => ({
    id: `${prefix}_${n + 1}`,
    title: `${brand} ${colors[(n * 5) % colors.length]!.toLowerCase()} ${kinds[n % kinds.length]!}`,
    brand,
    price: 4900 + ((n * 7919) % 120_000),
  }))
}

/** A Google-style product feed of the items (product-feed contract, section 3.1). */
export function demoFeed(items: readonly DemoItem[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Souk demo</title>
${items.map(feedItem).join('\n')}
</channel></rss>
`
}

function feedItem(item: DemoItem, n: number): string {
  const price = (item.price / 100).toFixed(2)
  return `<item><g:id>${item.id}</g:id><title>${CDATA(item.title)}</title><g:product_type>Clothing</g:product_type>
<link>https://demo.example/${item.id}</link><description>${CDATA(`<p>A <b>${item.title}</b>, made in small numbers.</p>`)}</description>
<g:image_link>https://demo.example/${item.id}.jpg</g:image_link><g:price>${price} AED</g:price><g:availability>in stock</g:availability>
<g:quantity>${(n % 9) + 1}</g:quantity><g:brand>${CDATA(item.brand)}</g:brand><g:gtin>${4_000_000_000_000 + n}</g:gtin>
<g:item_group_id>${item.id}</g:item_group_id><g:condition>new</g:condition><g:age_group>adult</g:age_group>
<g:color>${colors[n % colors.length]}</g:color><g:gender>${genders[n % genders.length]}</g:gender></item>`
}
