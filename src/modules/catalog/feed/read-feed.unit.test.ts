import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { feedFields } from './feed-item.ts'
import { checkWellFormed, FeedError, readFeed, requireWellFormed, type FeedEntry } from './read-feed.ts'

const REQUIRED = [
  '<g:id>1</g:id><title>Dress</title><g:product_type>Women</g:product_type><link>https://a.example/1</link>',
  '<description>Fine</description><g:image_link>https://a.example/1.jpg</g:image_link><g:price>10 AED</g:price>',
  '<g:availability>in stock</g:availability><g:brand>B</g:brand><g:gtin>123</g:gtin><g:item_group_id>9</g:item_group_id>',
  '<g:condition>new</g:condition><g:age_group>adult</g:age_group><g:color>red</g:color><g:gender>female</g:gender>',
].join('')

/** What parsers trip over, to be strung together at random. */
const PIECES = [
  '<',
  '>',
  '</',
  '/>',
  '<a',
  '<item>',
  '</item>',
  '<channel>',
  '</channel>',
  '</rss>',
  '"',
  "'",
  '=',
].concat(
  [
    '<rss xmlns:g="http://base.google.com/ns/1.0">',
    '<g:id>1</g:id>',
    ' a="b"',
    ' xmlns="',
    '&amp;',
    '&#',
    ';',
    '&x;',
    '<!--',
    '-->',
  ],
  [
    '<![CDATA[',
    ']]>',
    '<?xml version="1.0"?>',
    '<?x',
    '?>',
    '<!DOCTYPE',
    '\u0000',
    '\r',
    '\n',
    '👗',
    'é',
    '__proto__',
    'constructor',
  ],
  ['<appLink property="iphone_url" content="x"/>'],
)

function feed(items: string): string {
  return `<rss xmlns:g="http://base.google.com/ns/1.0"><channel>${items}</channel></rss>`
}

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(xml: string | Buffer, size = 7): Promise<FeedEntry[]> {
  const entries: FeedEntry[] = []
  for await (const batch of readFeed(chunks(Buffer.from(xml as string), size))) entries.push(...batch)
  return entries
}

async function readOne(elements: string): Promise<Record<string, unknown>> {
  const [entry] = await read(feed(`<item>${elements}</item>`))
  return entry!.ok
    ? { ...entry!.product }
    : { problems: entry!.problems.map(({ element, rule }) => `${element}: ${rule}`) }
}

async function faultOf(xml: string | Buffer): Promise<{ reason: string; line: number | null; column: number | null }> {
  const fault = await read(xml, 1_000).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(fault instanceof FeedError)) throw new Error(`expected a FeedError, not ${String(fault)}`)
  const { reason, line, column } = fault
  return { reason, line, column }
}

describe('the items of a feed', () => {
  it('reads the smallest item with its defaults', async () => {
    const product = await readOne(REQUIRED)

    expect(product).toMatchObject({ feedId: '1', title: 'Dress', price: 1_000, description: 'Fine', gender: 'female' })
    expect(product).toMatchObject({
      quantity: 0,
      adult: false,
      additionalImagesCount: 0,
      salePrice: null,
      iphoneUrl: null,
    })
    expect(Object.keys(product)).toEqual(feedFields.map((field) => field.key))
  })

  it('reads every optional element', async () => {
    const product = await readOne(`${REQUIRED}
      <g:sale_price>9</g:sale_price><g:oldprice>12 AED</g:oldprice><g:finalprice>AED 8.5</g:finalprice><g:quantity>4</g:quantity>
      <g:adult>YES</g:adult><additional_images_count>-3</additional_images_count><options_percentage>12.345</options_percentage>
      <g:custom_label_4> label </g:custom_label_4><g:ios_url>ounass://1</g:ios_url><icon_media_url>http://a.example/i</icon_media_url>
      <appLink property="iphone_app_name" content=" Ounass "/><appLink content="ounass://1" property="iphone_url"/>`)

    expect(product).toMatchObject({ salePrice: 900, oldPrice: 1_200, finalPrice: 850, quantity: 4, adult: true })
    expect(product).toMatchObject({ additionalImagesCount: -3, optionsPercentage: '12.35', customLabel4: 'label' })
    expect(product).toMatchObject({ iphoneAppName: 'Ounass', iphoneUrl: 'ounass://1', iphoneAppStoreId: null })
  })

  it('goes by the namespace and not by the prefix', async () => {
    const xml = feed(`<item>${REQUIRED}</item>`).replaceAll(/\bg([:=])/g, 'other$1')

    const [entry] = await read(xml)

    expect(entry).toMatchObject({ ok: true, product: { feedId: '1' } })
  })

  it.each([
    ['a plain element in the namespace', REQUIRED.replaceAll('title>', 'g:title>'), 'title: missing'],
    ['a g: element without it', REQUIRED.replaceAll('g:color', 'color'), 'g:color: missing'],
    [
      'a prefix bound to something else',
      REQUIRED.replace('<g:color>', '<g:color xmlns:g="urn:x">'),
      'g:color: missing',
    ],
    [
      'an element inside another',
      REQUIRED.replace('<g:color>red</g:color>', '<x><g:color>red</g:color></x>'),
      'g:color: missing',
    ],
    ['a blank element', REQUIRED.replace('>red<', '> \n <'), 'g:color: missing'],
    ['a blank first occurrence', REQUIRED.replace('<g:color>', '<g:color/><g:color>'), 'g:color: missing'],
    ['a bad optional value', `${REQUIRED}<g:quantity>5.0</g:quantity>`, 'g:quantity: not a whole number'],
    [
      'a bad app link',
      `${REQUIRED}<appLink property="iphone_url" content="data:x"/>`,
      'appLink iphone_url: a URL that could run code',
    ],
  ])('reports %s', async (_, elements, problem) => {
    expect(await readOne(elements)).toEqual({ problems: [problem] })
  })

  it('takes the first occurrence, text and CDATA together, trimmed', async () => {
    const product = await readOne(
      REQUIRED.replace('>Dress<', '> Sum<![CDATA[mer & ]]>dress<!-- no --> &lt;3 <').replace(
        '</title>',
        '</title><title>no</title>',
      ),
    )

    expect(product['title']).toBe('Summer & dress <3')
  })

  it('numbers items, keeps their order and names line, element, rule and value of each problem', async () => {
    const entries = await read(
      feed(
        `\n<item>${REQUIRED}</item>\n<item>\n<g:id>2</g:id>\n<g:price>x</g:price>${REQUIRED.replace('1</g:id>', '</g:id>')}</item><item/>`,
      ),
    )

    expect(entries.map((entry) => [entry.item, entry.line, entry.ok])).toEqual([
      [1, 2, true],
      [2, 3, false],
      [3, 5, false],
    ])
    expect(entries[1]).toMatchObject({
      id: '2',
      reason: 'g:price: not a price ("x")',
      problems: [{ line: 5, element: 'g:price', value: 'x' }],
    })
    expect(entries[2]).toMatchObject({ id: null })
  })

  it('finds items only as children of channels of the root, whatever the root is called', async () => {
    const item = `<item>${REQUIRED}</item>`
    const xml = `<any xmlns:g="http://base.google.com/ns/1.0">${item}<channel><item>${item}</item><x>${item}</x></channel><channel>${item}</channel>
      <x><channel>${item}</channel></x><channel xmlns="urn:x">${item}</channel><channel><item xmlns="urn:x"/></channel></any>`

    const entries = await read(xml)

    expect(entries.map((entry) => entry.ok)).toEqual([false, true])
  })

  it('gives the same items for every way of cutting the bytes', async () => {
    const xml = Buffer.from(feed(`<item>${REQUIRED.replace('Dress', 'Été 👗 &amp; فستان\r\n')}</item><item>\r</item>`))
    const whole = await read(xml, xml.length)

    for (let size = 1; size < 40; size++) expect(await read(xml, size)).toEqual(whole)
  })

  it('passes over the items that were read before', async () => {
    const xml = Buffer.from(feed(`<item>${REQUIRED}</item>`.repeat(5)))
    const numbers: number[][] = []

    for await (const batch of readFeed(chunks(xml, 100), { skipItems: 2, batchItems: 2 }))
      numbers.push(batch.map((entry) => entry.item))

    expect(numbers).toEqual([[3, 4], [5]])
  })
})

describe('documents that are refused', () => {
  it.each([
    ['an empty file', '', 'the file is empty', 1],
    ['blanks', ' \n ', 'document must contain a root element', 2],
    ['JSON', '{"a": 1}', 'text data outside of root node', 1],
    ['a truncated document', '<rss>\n<channel><item>', 'unclosed tag: item', 2],
    ['a truncated tag', '<rss>\n<chan', 'unclosed tag: rss', 2],
    ['crossing tags', '<a>\n\n<b></a></b>', 'unexpected close tag', 3],
    ['two roots', '<a/><b/>', 'documents may contain only one root', 1],
    ['text after the root', '<a/>x', 'text data outside of root node', 1],
    ['an unknown entity', '<a>&nbsp;</a>', 'undefined entity', 1],
    ['an inherited name as an entity', '<a>&constructor;</a>', 'undefined entity', 1],
    ['a reference to NUL', '<a>&#0;</a>', 'malformed character entity', 1],
    ['a reference to a surrogate', '<a>&#xD800;</a>', 'malformed character entity', 1],
    ['NUL', '<a>\u0000</a>', 'disallowed character', 1],
    ['a control character', '<a>\n\u0008</a>', 'disallowed character', 2],
    ['an unbound prefix', '<a><g:b/></a>', 'unbound namespace prefix: "g"', 1],
    ['a repeated attribute', '<a b="1" b="2"/>', 'duplicate attribute: b', 1],
    ['a DOCTYPE', '<?xml version="1.0"?>\n<!DOCTYPE rss><rss/>', 'a DOCTYPE is not allowed', 2],
    ['an endless DOCTYPE', `<!DOCTYPE ${'x'.repeat(100_000)}`, 'a DOCTYPE is not allowed', 1],
    [
      'an entity bomb',
      '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r>&b;</r>',
      'a DOCTYPE is not allowed',
      1,
    ],
    [
      'an external entity',
      '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
      'a DOCTYPE is not allowed',
      1,
    ],
    ['10,000 levels', '<a>'.repeat(10_000), 'elements are nested more than 256 deep', 1],
    ['an endless attribute', `<a b="${'x'.repeat(100_000)}"/>`, 'an attribute is too long', 1],
    ['an endless name', `<${'x'.repeat(100_000)}/>`, 'a name is too long', 1],
    ['an endless entity', `<a>&${'x'.repeat(100_000)};</a>`, 'the name of an entity is too long', 1],
    [
      'endless attributes',
      `<a ${Array.from({ length: 20_000 }, (_, n) => `a${n}=""`).join(' ')}/>`,
      'an element has more than 1000 attributes',
      1,
    ],
    [
      'a declaration of another encoding',
      '<?xml version="1.0" encoding="UTF-16"?><a/>',
      'the encoding utf-16 is not supported or not that of the file',
      1,
    ],
    [
      'an unknown encoding',
      '<?xml version="1.0" encoding="klingon"?><a/>',
      'the encoding klingon is not supported or not that of the file',
      1,
    ],
  ])('%s', async (_, xml, reason, line) => {
    expect(await faultOf(xml)).toMatchObject({ reason, line })
  })

  it('bytes that are not UTF-8, with their place', async () => {
    const bytes = Buffer.concat([Buffer.from('<a>\n<b>é'), Buffer.from([0xff, 0x41]), Buffer.from('</b></a>')])

    expect(await faultOf(bytes)).toEqual({ reason: 'bytes that are not valid UTF-8', line: 2, column: 4 })
  })

  it('a character cut off at the end', async () => {
    const bytes = Buffer.concat([Buffer.from('<a/>'), Buffer.from([0xc3])])

    expect(await faultOf(bytes)).toMatchObject({ reason: 'bytes that are not valid UTF-8' })
  })

  it('a compressed file', async () => {
    expect(await faultOf(Buffer.from([0x1f, 0x8b, 8, 0, 0]))).toMatchObject({
      reason: 'the file is compressed with gzip, not XML',
    })
  })

  it('UTF-16 that declares UTF-8, and UTF-16 without a byte order mark', async () => {
    const text = '<?xml version="1.0" encoding="UTF-8"?><a/>'

    expect(await faultOf(Buffer.from(`\ufeff${text}`, 'utf16le'))).toMatchObject({
      reason: expect.stringMatching(/declares the encoding UTF-8/),
    })
    expect(await faultOf(Buffer.from(text, 'utf16le'))).toMatchObject({
      reason: 'the file is in UTF-16 without a byte order mark',
    })
  })

  it('the same when the check follows the bytes as they arrive', async () => {
    const check = checkWellFormed()

    await check.write(Buffer.from('<rss>'))

    expect(() => check.end()).toThrow('unclosed tag: rss')
  })
})

describe('encodings that are read', () => {
  const text = '<?xml version="1.0" encoding="ENC"?>' + feed(`<item>${REQUIRED.replace('Dress', 'Été')}</item>`)

  it.each([
    ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${text.replace('ENC', 'utf-8')}`)],
    ['UTF-16 little endian', Buffer.from(`\ufeff${text.replace('ENC', 'UTF-16')}`, 'utf16le')],
    ['UTF-16 big endian', Buffer.from(`\ufeff${text.replace('ENC', 'UTF-16')}`, 'utf16le').swap16()],
    ['ISO-8859-1', Buffer.from(text.replace('ENC', 'ISO-8859-1'), 'latin1')],
    ['windows-1252', Buffer.from(text.replace('ENC', 'windows-1252'), 'latin1')],
  ])('%s', async (_, bytes) => {
    const [entry] = await read(bytes, 5)

    expect(entry).toMatchObject({ ok: true, product: { title: 'Été' } })
  })
})

async function* repeat(head: string, piece: Buffer, times: number, tail: string): AsyncGenerator<Buffer> {
  yield Buffer.from(head)
  for (let count = 0; count < times; count++) yield piece
  yield Buffer.from(tail)
}

describe('hostile sizes', () => {
  it.each([
    ['text', '', ''],
    ['CDATA', '<![CDATA[', ']]>'],
    ['a comment', '<!--', '-->'],
    ['a processing instruction', '<?x ', '?>'],
    ['text of an element', '<item><title>', '</title></item>'],
  ])('keeps nothing of an endless %s', async (_, open, close) => {
    const piece = Buffer.from('x '.repeat(128 * 1024))
    const source = () =>
      repeat(`<rss xmlns:g="http://base.google.com/ns/1.0"><channel>${open}`, piece, 400, `${close}</channel></rss>`)
    const before = process.memoryUsage().rss

    const entries: FeedEntry[] = []
    for await (const batch of readFeed(source())) entries.push(...batch)
    await requireWellFormed(source())

    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
    expect(entries.filter((entry) => entry.ok)).toEqual([])
  })

  it('gives the event loop back while it reads', async () => {
    const xml = Buffer.from(feed(`<item>${REQUIRED}</item>`.repeat(20_000)))
    let longest = 0
    let last = performance.now()
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }, 1)

    for await (const _ of readFeed(chunks(xml, xml.length))) continue
    clearInterval(timer)

    // One piece takes half a millisecond; the limit leaves room for a busy machine.
    expect(longest).toBeLessThan(100)
  })
})

it('throws nothing but FeedError, whatever the bytes', async () => {
  const piece = fc.constantFrom(...PIECES)
  const bytes = fc.oneof(
    fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join(''))),
    fc.array(piece, { maxLength: 20 }).map((pieces) => Buffer.from(feed(`<item>${REQUIRED}${pieces.join('')}</item>`))),
    fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
  )

  const anyBytes = fc.asyncProperty(bytes, fc.integer({ min: 1, max: 9 }), async (input, size) => {
    const fault = await read(input, size).then(
      () => undefined,
      (error: unknown) => error,
    )

    return fault === undefined || fault instanceof FeedError
  })

  const run = await fc.check(anyBytes, { numRuns: 3_000 })

  expect(run.failed ? fc.stringify(run.counterexample) : 'nothing').toBe('nothing')
})
