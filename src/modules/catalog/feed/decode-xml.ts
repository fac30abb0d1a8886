import { isAscii, isUtf8 } from 'node:buffer'

import { FeedError } from './feed-error.ts'

/** An XML declaration with an encoding fits into this many bytes; a longer one is read as UTF-8 and checked against its declaration. */
const SNIFF_BYTES = 1024
const DECLARED_ENCODING = /^<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']/
const UTF8_NAMES = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii'])
/** Encodings that TextDecoder knows but no declaration may name: UTF-16 needs a byte order mark, the others are not for documents. */
const REFUSED = new Set(['utf-16le', 'utf-16be', 'replacement', 'x-user-defined', 'iso-2022-jp'])

/** The valid text in front of the first wrong byte, so that the reader can say where that byte is. */
export class DecodeError extends Error {
  constructor(
    readonly validText: string,
    readonly reason: string,
  ) {
    super(reason)
  }
}

export interface XmlDecoder {
  /** Throws DecodeError at bytes that the encoding does not have. */
  decode(bytes: Buffer): string
  end(): string
  /** Whether the encoding that the document declares is the one its bytes are in. */
  agreesWith(declared: string): boolean
}

type Decode = (bytes: Buffer, last: boolean) => string

/** Turns bytes into text: UTF-8, UTF-16 with a byte order mark, or what the XML declaration names. Anything else is refused. */
export function createXmlDecoder(): XmlDecoder {
  let held: Buffer | undefined = Buffer.alloc(0)
  let encoding = 'utf-8'
  let run: Decode = utf8Decoder()

  function begin(bytes: Buffer, last: boolean): string {
    held = undefined
    encoding = sniff(bytes)
    run = encoding === 'utf-8' ? utf8Decoder() : legacyDecoder(encoding)
    return run(withoutBom(bytes), last)
  }

  return {
    decode(bytes) {
      if (held === undefined) return run(bytes, false)
      held = Buffer.concat([held, bytes])
      return held.length < SNIFF_BYTES ? '' : begin(held, false)
    },
    end: () => (held === undefined ? run(Buffer.alloc(0), true) : begin(held, true)),
    agreesWith(declared) {
      const name = declared.toLowerCase()
      if (encoding === 'utf-8') return UTF8_NAMES.has(name)
      if (encoding.startsWith('utf-16')) return name === 'utf-16' || name === encoding
      return canonicalName(name) === encoding
    },
  }
}

function sniff(bytes: Buffer): string {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  if (first === 0xfe && second === 0xff) return 'utf-16be'
  if ((first === 0x3c && second === 0) || (first === 0 && second === 0x3c)) {
    throw new FeedError('the file is in UTF-16 without a byte order mark', 1, 1)
  }
  if (first === 0x1f && second === 0x8b) throw new FeedError('the file is compressed with gzip, not XML', 1, 1)
  const declared = DECLARED_ENCODING.exec(bytes.toString('latin1', 0, SNIFF_BYTES))?.[1]?.toLowerCase()
  if (declared === undefined || UTF8_NAMES.has(declared)) return 'utf-8'
  const name = canonicalName(declared)
  if (name === undefined) throw new FeedError(`the encoding ${declared} is not supported or not that of the file`, 1, 1)
  return name
}

function canonicalName(label: string): string | undefined {
  try {
    const name = new TextDecoder(label).encoding
    return REFUSED.has(name) ? undefined : name
  } catch {
    return undefined
  }
}

function withoutBom(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes
}

/** Faster than TextDecoder for the usual ASCII feed, and it knows where the wrong byte is. */
function utf8Decoder(): Decode {
  let carry: Buffer = Buffer.alloc(0)
  return (bytes, last) => {
    const all = carry.length === 0 ? bytes : Buffer.concat([carry, bytes])
    const whole = last ? all : all.subarray(0, all.length - incompleteTail(all))
    carry = Buffer.from(all.subarray(whole.length))
    if (isAscii(whole)) return whole.toString('latin1')
    if (isUtf8(whole)) return whole.toString('utf8')
    const valid = longestValidPrefix(whole)
    throw new DecodeError(whole.toString('utf8', 0, valid), 'bytes that are not valid UTF-8')
  }
}

/** How many bytes at the end begin a character that the next chunk may finish (0 to 3). */
function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!
    if (byte < 0x80) return 0
    if (byte >= 0xc0) return back < sequenceLength(byte) ? back : 0
  }
  return 0
}

function sequenceLength(lead: number): number {
  if (lead >= 0xf0) return 4
  return lead >= 0xe0 ? 3 : 2
}

function longestValidPrefix(bytes: Buffer): number {
  let low = 0
  let high = bytes.length
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    const part = bytes.subarray(0, middle)
    if (isUtf8(part.subarray(0, middle - incompleteTail(part)))) low = middle
    else high = middle - 1
  }
  return low - incompleteTail(bytes.subarray(0, low))
}

function legacyDecoder(encoding: string): Decode {
  const decoder = new TextDecoder(encoding, { fatal: true })
  return (bytes, last) => {
    try {
      return decoder.decode(bytes, { stream: !last })
    } catch {
      throw new DecodeError('', `bytes that are not valid ${encoding}`)
    }
  }
}
