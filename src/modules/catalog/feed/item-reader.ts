import type { SaxesTagNS } from 'saxes'

import { elementName, feedFields, GOOGLE_NAMESPACE, type FeedField, type FeedProduct } from './feed-item.ts'
import { readValue, valueWhenAbsent, type FeedValue } from './feed-values.ts'
import type { XmlHandlers } from './xml-reader.ts'

/** One rule that one element of an item breaks. */
export interface FeedProblem {
  /** Of the element; of the item when the element is missing. Counted from 1. */
  line: number
  element: string
  rule: string
  /** The beginning of the text that broke the rule; null when there was none. */
  value: string | null
}

/** One item of a feed, counted from 1; either a product or what is wrong with it. */
export type FeedEntry =
  | { item: number; line: number; ok: true; product: FeedProduct }
  | { item: number; line: number; ok: false; id: string | null; problems: FeedProblem[]; reason: string }

const MAX_REPORTED_CHARACTERS = 200
/** Text of an element past this is not kept: it is over every limit, also after cleaning away as much markup as real feeds have. */
const MAX_CAPTURED_CHARACTERS = 500_000

const ROOT = 1
const CHANNEL = 2
const ITEM = 3
const FIELD = 4

const plainIndex = indexBy(feedFields, (field) =>
  field.namespace === '' && field.property === undefined ? field.element : undefined,
)
const googleIndex = indexBy(feedFields, (field) => (field.namespace === GOOGLE_NAMESPACE ? field.element : undefined))
const appLinkIndex = indexBy(feedFields, (field) => field.property)
const NO_FIELD = -1

function indexBy(
  fields: readonly FeedField[],
  name: (field: FeedField) => string | undefined,
): ReadonlyMap<string, number> {
  return new Map(fields.flatMap((field, index) => (name(field) === undefined ? [] : [[name(field)!, index] as const])))
}

type Values = Record<string, FeedValue | null>
/** An item without any element. Copies of a parsed object share one hidden class, which makes items half the size and the loop faster. */
const ABSENT = JSON.parse(
  JSON.stringify(Object.fromEntries(feedFields.map((field) => [field.key, valueWhenAbsent(field)]))),
) as Values

interface ItemOptions {
  /** Items up to this number are counted and not read, so that a resumed import gets past them quickly. */
  skipItems: number
  onItem(entry: FeedEntry): void
}

/** Handlers that follow the structure `root > channel > item > element` and report each item when it is complete. */
export function createItemReader(options: ItemOptions): XmlHandlers {
  let depth = 0
  let inChannel = false
  let item: ItemTexts | undefined
  let items = 0
  let field = NO_FIELD

  return {
    open(tag, line) {
      depth += 1
      if (depth === CHANNEL) inChannel = isPlain(tag, 'channel')
      else if (depth === ITEM && inChannel && isPlain(tag, 'item')) {
        items += 1
        if (items > options.skipItems) item = new ItemTexts(items, line)
      } else if (depth === FIELD && item !== undefined) field = item.open(tag, line)
    },
    text(text) {
      if (field !== NO_FIELD) item!.append(field, text)
    },
    close() {
      if (depth === FIELD) field = NO_FIELD
      else if (depth === ITEM && item !== undefined) {
        options.onItem(item.toEntry())
        item = undefined
      } else if (depth <= ROOT) inChannel = false
      depth -= 1
    },
  }
}

function isPlain(tag: SaxesTagNS, name: string): boolean {
  return tag.local === name && tag.uri === ''
}

/** The texts of one item while it is read, by index of feedFields. */
class ItemTexts {
  private readonly texts: (string | undefined)[] = []
  private readonly lines: number[] = []
  private overflow: Set<number> | undefined

  constructor(
    private readonly number: number,
    private readonly line: number,
  ) {}

  /** The field whose text follows; none for unknown elements and for all but the first occurrence. */
  open(tag: SaxesTagNS, line: number): number {
    if (tag.uri === '' && tag.local === 'appLink') {
      this.openAppLink(tag, line)
      return NO_FIELD
    }
    const index =
      tag.uri === GOOGLE_NAMESPACE ? googleIndex.get(tag.local) : tag.uri === '' ? plainIndex.get(tag.local) : undefined
    if (index === undefined || this.texts[index] !== undefined) return NO_FIELD
    this.texts[index] = ''
    this.lines[index] = line
    return index
  }

  private openAppLink(tag: SaxesTagNS, line: number): void {
    const property = tag.attributes['property']?.value.trim()
    const index = property === undefined ? undefined : appLinkIndex.get(property)
    if (index === undefined || this.texts[index] !== undefined) return
    this.texts[index] = tag.attributes['content']?.value ?? ''
    this.lines[index] = line
  }

  append(index: number, text: string): void {
    const known = this.texts[index]!
    if (known.length + text.length <= MAX_CAPTURED_CHARACTERS) {
      this.texts[index] = known + text
      return
    }
    this.overflow ??= new Set()
    this.overflow.add(index)
    if (known.length < MAX_REPORTED_CHARACTERS) this.texts[index] = known + text.slice(0, MAX_REPORTED_CHARACTERS)
  }

  toEntry(): FeedEntry {
    const values: Values = { ...ABSENT }
    let problems: FeedProblem[] | undefined
    for (let index = 0; index < feedFields.length; index++) {
      const field = feedFields[index]!
      const text = this.texts[index]?.trim() ?? ''
      const rule = this.readInto(values, field, index, text)
      if (rule === undefined) continue
      problems ??= []
      problems.push({ line: this.lines[index] ?? this.line, element: elementName(field), rule, value: reported(text) })
    }
    if (problems === undefined) {
      return { item: this.number, line: this.line, ok: true, product: values as unknown as FeedProduct }
    }
    const id = reported(this.texts[0]?.trim() ?? '')
    return { item: this.number, line: this.line, ok: false, id, problems, reason: describe(problems) }
  }

  /** Puts the value of one field; returns the rule it breaks, if any. */
  private readInto(values: Values, field: FeedField, index: number, text: string): string | undefined {
    if (this.overflow?.has(index)) return tooLong(field)
    if (text === '') {
      return field.required ? 'missing' : undefined
    }
    const read = readValue(text, field)
    if (!read.ok) return read.rule
    values[field.key] = read.value
    return undefined
  }
}

function tooLong(field: FeedField): string {
  return `longer than ${field.limit ?? MAX_CAPTURED_CHARACTERS} characters`
}

/** The beginning of a text, copied so that the report does not keep the chunk of the file it came from; null for none. */
function reported(text: string): string | null {
  if (text === '') return null
  if (text.length <= MAX_REPORTED_CHARACTERS) return text
  return Buffer.from(text.slice(0, MAX_REPORTED_CHARACTERS))
    .toString()
    .replace(/\uFFFD$/, '')
}

function describe(problems: readonly FeedProblem[]): string {
  return problems
    .map(({ element, rule, value }) => (value === null ? `${element}: ${rule}` : `${element}: ${rule} ("${value}")`))
    .join('; ')
}
