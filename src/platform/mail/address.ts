const ATOM = String.raw`[^\s\u0000-\u0020\u007f<>()[\]\\,;:"@]`
const ADDRESS = new RegExp(`^${ATOM}{1,64}@${ATOM}{1,253}$`, 'u')

/** One bare address. No quoting, comments, lists or line breaks: what could end a header or name a second recipient is not an address. */
export function isMailAddress(text: string): boolean {
  return text.length <= 320 && ADDRESS.test(text) && !text.includes('..')
}

/** One line of text for a header: control characters and line breaks of every kind become blanks. */
export function headerText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim()
}
