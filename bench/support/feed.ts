import { createWriteStream } from 'node:fs'
import { once } from 'node:events'

const brands = ['Zara', 'Gucci', 'Prada', 'Nike', 'Lanvin', 'Fendi', 'Chloé', 'Balmain', 'Puma', 'Valentino']
const genders = ['female', 'male', 'unisex']
const conditions = ['new', 'refurbished', 'used']
const colors = ['Black', 'White', 'Red', 'Blue', 'Green', 'Beige']

/** One item of a believable feed, about 1.1 kB, the same for the same number. */
export function feedItem(n: number): string {
  const price = (n * 7919) % 90_000
  const brand = brands[n % brands.length]!
  const color = colors[n % colors.length]!
  return `<item>
<g:id>${n}_${n % 977}</g:id><title>${brand} ${color} dress ${(n * 2_654_435_761) % 1_000_003}</title>
<g:product_type>Women &gt; Clothing &gt; Dresses</g:product_type><link>https://shop.example/p/${n}</link>
<description><![CDATA[<p>A <b>${color.toLowerCase()}</b> dress of silk and wool. Cut on the bias, lined, with a hidden zip at the back.</p><ul><li>Made in Italy</li><li>Dry clean only</li></ul>]]></description>
<g:image_link>https://img.example/${n}.jpg</g:image_link><g:price>${(price / 100 + 10).toFixed(2)} AED</g:price>
<g:sale_price>${(price / 100 + 5).toFixed(2)} AED</g:sale_price><g:availability>in stock</g:availability><g:quantity>${n % 50}</g:quantity>
<g:brand>${brand}</g:brand><g:gtin>${1_000_000_000_000 + n}</g:gtin><g:item_group_id>${n % 977}</g:item_group_id>
<g:condition>${conditions[n % 3]}</g:condition><g:age_group>adult</g:age_group><g:color>${color}</g:color><g:gender>${genders[n % 3]}</g:gender>
<g:google_product_category>2271</g:google_product_category><g:custom_label_0>season-${n % 4}</g:custom_label_0><g:adult>no</g:adult>
</item>
`
}

export const feedHead =
  '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>\n'
export const feedTail = '</channel></rss>\n'

/** Writes a feed of `count` items, numbered from `first`. */
export async function writeFeedFile(path: string, count: number, first = 0): Promise<void> {
  const file = createWriteStream(path)
  file.write(feedHead)
  for (let n = first; n < first + count; n++) {
    if (!file.write(feedItem(n))) await once(file, 'drain')
  }
  file.end(feedTail)
  await once(file, 'close')
}
