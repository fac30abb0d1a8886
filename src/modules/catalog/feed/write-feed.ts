import { feedFields, GOOGLE_NAMESPACE, type FeedField, type FeedProduct } from './feed-item.ts'
import { formatHundredths } from './feed-values.ts'

const HEAD = `<?xml version="1.0" encoding="UTF-8"?>\n<rss xmlns:g="${GOOGLE_NAMESPACE}" version="2.0"><channel>\n`
const TAIL = '</channel></rss>\n'
/** Text handed on at once, in characters. */
const CHUNK_CHARACTERS = 64 * 1024
/** Cleaned away when read, so that an empty description is read back as one and not as a missing one. */
const EMPTY_HTML = '<!-- -->'

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  // Written as they are, a parser would read these as a line feed, in attributes as spaces.
  '\r': '&#13;',
  '\n': '&#10;',
  '\t': '&#9;',
}
/** What XML 1.0 has no way to write, not even as a reference. Only values that came another way than through a feed can have them. */
// oxlint-disable-next-line no-control-regex
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\p{Surrogate}]/gu

/** Writes products as a feed; reading it again gives the same products. A slow reader slows the source: nothing piles up. */
export async function* writeFeed(products: AsyncIterable<FeedProduct>): AsyncGenerator<string> {
  let text = HEAD
  for await (const product of products) {
    text += writeItem(product)
    if (text.length < CHUNK_CHARACTERS) continue
    yield text
    text = ''
  }
  yield text + TAIL
}

function writeItem(product: FeedProduct): string {
  let item = '<item>'
  for (const field of feedFields) {
    const text = valueText(product[field.key], field)
    if (text !== null) item += writeElement(field, escapeXml(text))
  }
  return `${item}</item>\n`
}

function writeElement(field: FeedField, text: string): string {
  if (field.property !== undefined) return `<appLink property="${field.property}" content="${text}"/>`
  const name = field.namespace === '' ? field.element : `g:${field.element}`
  return `<${name}>${text}</${name}>`
}

function valueText(value: FeedProduct[keyof FeedProduct], field: FeedField): string | null {
  if (value === null) return null
  if (field.kind === 'money') return formatHundredths(Number(value))
  if (field.kind === 'yes') return value === true ? 'yes' : 'no'
  if (field.kind === 'html' && value === '') return EMPTY_HTML
  return String(value)
}

function escapeXml(text: string): string {
  return text.replace(UNWRITABLE, '\uFFFD').replace(/[&<>"\r\n\t]/g, (character) => ESCAPES[character]!)
}
