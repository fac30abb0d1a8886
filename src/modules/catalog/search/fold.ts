const BEYOND_ASCII = /[\u0080-\uffff]/
/** Accents of Latin, Greek and Cyrillic, points of Hebrew and Arabic. Marks that make another letter elsewhere (か, が) are kept. */
const ACCENTS = new RegExp(
  String.raw`[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1-\u05c2\u05c4-\u05c5\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\ufe20-\ufe2f]`,
  'g',
)
/** Letters that Unicode does not take apart, the ß that a capital ẞ leaves, the sigma whose form depends on its place, and what no text may hold. */
const LETTERS: Readonly<Record<string, string>> = {
  æ: 'ae',
  ð: 'd',
  ø: 'o',
  đ: 'd',
  ł: 'l',
  œ: 'oe',
  ß: 'ss',
  ς: 'σ',
  '\uffff': '\ufffd',
  '\u{10ffff}': '\ufffd',
}
const LETTER = /[æðøđłœßς\uffff\u{10ffff}]/gu

/**
 * The text without case and accents: what is stored to be searched, and what a term becomes before it is looked for. Compatibility forms are
 * taken apart (Unicode Standard Annex 15, NFKD); by way of upper case, because ß and its capitals have no common lower case.
 */
export function fold(text: string): string {
  if (!BEYOND_ASCII.test(text)) return text.toLowerCase()
  const bare = text.normalize('NFKD').replace(ACCENTS, '')
  return bare
    .toUpperCase()
    .toLowerCase()
    .replace(LETTER, (letter) => LETTERS[letter] ?? letter)
}

/** Stands between the parts of a document, so that no term matches across them: a code point that Unicode keeps free of text. */
export const SEPARATOR = '\uffff'

/** Sorts behind every text that begins with what stands before it. */
export const LAST_CHARACTER = '\u{10ffff}'

/** The text of a product's document, without its tags. */
export function documentText(product: { title: string; description: string }): string {
  return `${fold(product.title)}${SEPARATOR}${fold(product.description)}`
}
