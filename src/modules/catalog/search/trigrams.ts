import { escapeLike } from './product-filter.ts'

const BEYOND_ASCII = /[\u0080-\uffff]/

/** The text as `trigram_key` of the database has it: bytes beyond ASCII as `x` and three octal digits, a backslash as `xx`. */
export function trigramKey(text: string): string {
  const plain = text.replaceAll('\\', 'xx')
  if (!BEYOND_ASCII.test(plain)) return plain
  let key = ''
  for (const byte of Buffer.from(plain)) key += byte < 0x80 ? String.fromCodePoint(byte) : `x${byte.toString(8)}`
  return key
}

/** Less than three letters or digits in a row have no trigram to look up. */
export function hasTrigram(text: string): boolean {
  return /[a-z0-9]{3}/i.test(trigramKey(text))
}

/** A LIKE pattern, and that of the keys of the texts that fit it. */
export interface KeyedPattern {
  pattern: string
  key: string
}

/** Texts that begin, end or both where the given one does, or only contain it. */
export function keyedPattern(text: string, { begins = false, ends = false } = {}): KeyedPattern {
  const around = (inner: string): string => `${begins ? '' : '%'}${escapeLike(inner)}${ends ? '' : '%'}`
  return { pattern: around(text), key: around(trigramKey(text)) }
}
