const ASCII = /^\p{ASCII}*$/u

/**
 * The form under which names are compared: without case, and however the letters were composed. Letter by letter and by way of the upper
 * case, as Unicode folds case: `ß` is `SS`, and a sigma is a sigma at the end of a word too.
 */
export function foldCase(name: string): string {
  if (ASCII.test(name)) return name.toLowerCase()
  return Array.from(name.normalize('NFC'), withoutCase).join('').normalize('NFC')
}

function withoutCase(letter: string): string {
  // Its upper case is that of the dotted one, which is another letter.
  if (letter === 'ı') return letter
  return letter.toLowerCase().toUpperCase().toLowerCase()
}
