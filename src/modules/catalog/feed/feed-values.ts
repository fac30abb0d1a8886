import { cleanHtml } from './clean-html.ts'
import type { FeedField, FeedKind } from './feed-item.ts'

export type FeedValue = string | number | boolean

/** Either the value or the rule that the text breaks. */
export type ReadValue = { ok: true; value: FeedValue } | { ok: false; rule: string }

const INT32_MIN = -2_147_483_648
const INT32_MAX = 2_147_483_647
const MAX_WHOLE_DIGITS = 8
/** 999.99 in hundredths. */
const MAX_DECIMAL = 99_999

/** A code is followed by the number at once, so that a long run of blanks is looked at once only. `inf` and `nan` are no currencies. */
const MONEY = /^(?:(?!inf|nan)([a-z]{3})\s+(?=[\d.]))?(\d*)(?:\.(\d*))?(?:\s+(?!inf|nan)([a-z]{3}))?$/i
const DECIMAL = /^(-?)(\d*)(?:\.(\d*))?$/
const INTEGER = /^-?\d+$/
const WEB_URL = /^https?:\/\//i
const SCHEME = /^[a-z][a-z0-9+.-]*:/i
const SCHEMES_THAT_RUN_CODE = new Set(['javascript:', 'data:', 'vbscript:'])
/** Browsers drop some of these inside an address, which would let it mean another one. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/

const readers: Record<FeedKind, (text: string, field: FeedField) => ReadValue> = {
  text: readText,
  // A character is at most two units of a string, so what is cut here is over the limit.
  html: (text, field) => readText(cleanHtml(text, 2 * field.limit!), field),
  url: readWebUrl,
  appUrl: readAppUrl,
  money: readMoney,
  integer: readInteger,
  count: readCount,
  decimal: readDecimal,
  yes: (text) => found(text.toLowerCase() === 'yes'),
}

/** Reads the trimmed, not empty text of one element by the rule of its field (product-feed contract, section 3.1). */
export function readValue(text: string, field: FeedField): ReadValue {
  return readers[field.kind](text, field)
}

/** What a field has when its element has no value. */
export function valueWhenAbsent(field: FeedField): FeedValue | null {
  if (field.kind === 'count' || field.kind === 'integer') return 0
  return field.kind === 'yes' ? false : null
}

function found(value: FeedValue): ReadValue {
  return { ok: true, value }
}

function broken(rule: string): ReadValue {
  return { ok: false, rule }
}

function readText(text: string, field: FeedField): ReadValue {
  if (field.limit !== undefined && isLonger(text, field.limit)) return broken(`longer than ${field.limit} characters`)
  return found(text)
}

/** Characters are code points: an emoji is one. */
function isLonger(text: string, limit: number): boolean {
  if (text.length <= limit) return false
  if (text.length > 2 * limit) return true
  let characters = 0
  for (const _ of text) characters += 1
  return characters > limit
}

function readWebUrl(text: string, field: FeedField): ReadValue {
  if (!WEB_URL.test(text) || CONTROL.test(text) || !URL.canParse(text)) return broken('not an http(s) URL')
  return readText(text, field)
}

function readAppUrl(text: string, field: FeedField): ReadValue {
  if (!SCHEME.test(text) || CONTROL.test(text) || !URL.canParse(text)) return broken('not a URL')
  if (SCHEMES_THAT_RUN_CODE.has(new URL(text).protocol)) return broken('a URL that could run code')
  return readText(text, field)
}

function readMoney(text: string): ReadValue {
  const match = MONEY.exec(text)
  if (match === null || (match[1] !== undefined && match[4] !== undefined)) return broken('not a price')
  const whole = match[2]!
  const hundredths = toHundredths(whole, match[3])
  if (hundredths === undefined) return broken('not a price')
  if (whole.length > MAX_WHOLE_DIGITS || hundredths >= 10 ** (MAX_WHOLE_DIGITS + 2)) {
    return broken(`more than ${MAX_WHOLE_DIGITS} digits before the point`)
  }
  return found(hundredths)
}

/** Rounded half up; undefined when there is no digit at all. */
function toHundredths(whole: string, fraction = ''): number | undefined {
  if (whole === '' && fraction === '') return undefined
  const half = fraction.charCodeAt(2) >= '5'.charCodeAt(0) ? 1 : 0
  return Number(whole) * 100 + Number(fraction.slice(0, 2).padEnd(2, '0')) + half
}

function readInteger(text: string): ReadValue {
  if (!INTEGER.test(text)) return broken('not a whole number')
  const value = Number(text)
  if (value < INT32_MIN || value > INT32_MAX) return broken('not a 32-bit whole number')
  // Adding zero makes 0 of -0, which JSON and the database would write in different ways.
  return found(value + 0)
}

function readCount(text: string): ReadValue {
  const read = readInteger(text)
  return read.ok && typeof read.value === 'number' && read.value < 0 ? broken('negative') : read
}

function readDecimal(text: string): ReadValue {
  const match = DECIMAL.exec(text)
  const hundredths = match === null ? undefined : toHundredths(match[2]!, match[3])
  if (match === null || hundredths === undefined) return broken('not a decimal number')
  if (hundredths > MAX_DECIMAL) return broken('more than 999.99')
  const sign = match[1] === '-' && hundredths > 0 ? '-' : ''
  return found(sign + formatHundredths(hundredths))
}

/** `19999` as `199.99`: how money and percentages are written in JSON, mails and feeds. */
export function formatHundredths(hundredths: number): string {
  const digits = String(Math.abs(hundredths)).padStart(3, '0')
  return `${hundredths < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`
}
