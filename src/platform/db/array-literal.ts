export type ArrayElement = string | number | boolean | null

/**
 * A one-dimensional array as PostgreSQL reads it (documentation, section 8.15.2, "Array Value Input"); several times quicker than the
 * driver's own way, which rewrites every element twice.
 */
export function arrayLiteral(elements: readonly ArrayElement[]): string {
  let text = '{'
  for (const element of elements) {
    if (text.length > 1) text += ','
    if (element === null) text += 'NULL'
    else if (typeof element === 'string') text += `"${escaped(element)}"`
    else text += String(element)
  }
  return `${text}}`
}

function escaped(text: string): string {
  return /["\\]/.test(text) ? text.replace(/["\\]/g, String.raw`\$&`) : text
}
