/** The formatting that stays, without its attributes (product-feed contract, section 3.2). */
const ALLOWED_TAGS: ReadonlySet<string> = new Set(
  'p br b strong i em u ul ol li span div h1 h2 h3 h4 h5 h6 table tr td th'.split(' '),
)
/** Elements whose content is not text for people. */
const DROPPED_WITH_CONTENT: ReadonlySet<string> = new Set(['script', 'style'])
/** Deeper formatting is dropped and its text kept: browsers slow down on deep trees. */
const MAX_NESTING = 32

const BLOCKS: ReadonlySet<string> = new Set('p div ul ol li h1 h2 h3 h4 h5 h6 table tr td th'.split(' '))
/** Opening one of the keys ends an open element of `ends`, unless one of `within` stands between (HTML standard, section 13.1.2.4). */
const IMPLIED_ENDS: Readonly<Record<string, { ends: readonly string[]; within: readonly string[] }>> = {
  li: { ends: ['li'], within: ['ul', 'ol', 'table'] },
  tr: { ends: ['tr'], within: ['table'] },
  td: { ends: ['td', 'th'], within: ['tr', 'table'] },
  th: { ends: ['td', 'th'], within: ['tr', 'table'] },
}
const PARAGRAPH_END = { ends: ['p'], within: ['td', 'th', 'table'] } as const

/** A tag's name and what must follow it, so that `<someone@example.com>` and `a<b,c>` stay text. */
const NAME = /[A-Za-z][A-Za-z0-9:-]*(?=[\s/>])/y
/** What makes a `<` in front of it more than text. */
const MARKUP_START = /[A-Za-z/!?]/
/** A bare `&`, as against the start of a character reference, which is kept as it is. */
const BARE_AMPERSAND = /&(?!(?:[A-Za-z][A-Za-z0-9]{0,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});)/g

/**
 * Cleans HTML by an allow-list: only the tags of ALLOWED_TAGS, without attributes and balanced, and text in escaped form. What comes out is
 * built anew from tokens, so nothing of the input's markup survives by accident; cleaning it again changes nothing. Linear in its input.
 * Past `enough` characters of output the rest is left away: the caller refuses what is that long.
 */
export function cleanHtml(html: string, enough = Infinity): string {
  if (!html.includes('<')) return escapeText(html).trim()
  const output = createOutput()
  let at = 0
  const scan = createScanner(html)
  while (at < html.length && output.length() <= enough) {
    const less = html.indexOf('<', at)
    if (less === -1) break
    if (less > at) output.text(html.slice(at, less))
    at = readMarkup(scan, less, output)
  }
  if (output.length() > enough) return output.finish()
  if (at < html.length) output.text(html.slice(at))
  return output.finish().trim()
}

function escapeText(text: string): string {
  if (!/[&<>]/.test(text)) return text
  return text.replace(BARE_AMPERSAND, '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

type Output = ReturnType<typeof createOutput>
type Scanner = ReturnType<typeof createScanner>

/** Reads what begins with the `<` at `less` and returns where the next text begins. */
function readMarkup(scan: Scanner, less: number, output: Output): number {
  const next = scan.html[less + 1]
  if (next === undefined || !MARKUP_START.test(next)) {
    output.lessThan()
    return less + 1
  }
  if (next === '!' || next === '?') {
    const end = scan.html.startsWith('<!--', less) ? scan.afterComment(less) : scan.afterGreater(less)
    // Without an end only the opening characters are markup: the rest is text that should be kept.
    return end ?? less + 2
  }
  const closing = next === '/'
  const name = scan.nameAt(closing ? less + 2 : less + 1)
  const end = name === undefined ? undefined : closing ? scan.afterGreater(less) : scan.afterTag(less + 1 + name.length)
  if (name === undefined || end === undefined) {
    output.lessThan()
    return less + 1
  }
  const tag = name.toLowerCase()
  if (closing) output.close(tag)
  else if (!DROPPED_WITH_CONTENT.has(tag)) output.open(tag)
  else if (scan.html[end - 2] !== '/') return scan.afterElement(tag, end)
  return end
}

/** Look-ups in the input. A search that fails once is not repeated, which keeps hostile input linear. */
function createScanner(html: string) {
  const missing = new Set<string>()
  let quotesBroken = false

  function after(what: string, from: number): number | undefined {
    if (missing.has(what)) return undefined
    const found = html.indexOf(what, from)
    if (found !== -1) return found + what.length
    missing.add(what)
    return undefined
  }

  function afterTag(from: number): number | undefined {
    if (quotesBroken) return after('>', from)
    const end = endOfTag(html, from)
    if (end !== undefined) return end
    quotesBroken = true
    return after('>', from)
  }

  return {
    html,
    afterTag,
    afterGreater: (from: number) => after('>', from),
    afterComment: (from: number) => after('-->', from + 4),
    nameAt(from: number): string | undefined {
      NAME.lastIndex = from
      return NAME.exec(html)?.[0]
    },
    /** Where the text after `</tag>` begins; the end of the input when the element is never closed, as a browser reads it. */
    afterElement(tag: string, from: number): number {
      const closing = new RegExp(`</${tag}(?=[\\s/>])`, 'gi')
      closing.lastIndex = from
      const found = closing.exec(html)
      return (found === null ? undefined : after('>', found.index)) ?? html.length
    },
  }
}

/** The position after the `>` of a tag, where a `>` inside a quoted attribute value does not count. */
function endOfTag(html: string, from: number): number | undefined {
  let afterEquals = false
  for (let at = from; at < html.length; at++) {
    const character = html[at]!
    if (character === '>') return at + 1
    if (afterEquals && (character === '"' || character === "'")) {
      at = html.indexOf(character, at + 1)
      if (at === -1) return undefined
    }
    if (character === '=') afterEquals = true
    else if (character > ' ') afterEquals = false
  }
  return undefined
}

function createOutput() {
  let out = ''
  const open: string[] = []
  /** How often each is open, so that most tags need no look at all of them. */
  const counts = new Map<string, number>()
  const isOpen = (name: string): boolean => (counts.get(name) ?? 0) > 0

  function closeThrough(index: number): void {
    while (open.length > index) {
      const name = open.pop()!
      counts.set(name, counts.get(name)! - 1)
      out += `</${name}>`
    }
  }

  function endImplied({ ends, within }: { ends: readonly string[]; within: readonly string[] }): void {
    if (!ends.some(isOpen)) return
    for (let index = open.length - 1; index >= 0; index--) {
      const name = open[index]!
      if (ends.includes(name)) return closeThrough(index)
      if (within.includes(name)) return
    }
  }

  return {
    length: () => out.length,
    text(text: string): void {
      out += escapeText(out === '' ? text.trimStart() : text)
    },
    lessThan(): void {
      out += '&lt;'
    },
    open(name: string): void {
      if (!ALLOWED_TAGS.has(name)) return
      if (name === 'br') {
        out += '<br>'
        return
      }
      if (BLOCKS.has(name)) endImplied(PARAGRAPH_END)
      const implied = IMPLIED_ENDS[name]
      if (implied !== undefined) endImplied(implied)
      if (open.length >= MAX_NESTING) return
      open.push(name)
      counts.set(name, (counts.get(name) ?? 0) + 1)
      out += `<${name}>`
    },
    close(name: string): void {
      // Browsers read </br> as a line break.
      if (name === 'br') out += '<br>'
      if (isOpen(name)) closeThrough(open.lastIndexOf(name))
    },
    finish(): string {
      closeThrough(0)
      return out
    },
  }
}
