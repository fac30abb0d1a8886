const ESCAPES = /(?:%[\da-f]{2})+|%/gi

/**
 * The request target with every `%` of its path that does not decode taken literally. Such a path names nothing: it has to reach its route
 * and be refused there, by 401 and then 404 (identity contract, section 1.1), where the router would answer 400 to everybody.
 */
export function decodableUrl(url: string): string {
  if (!url.includes('%')) return url
  const end = url.search(/[?#]/)
  const path = end === -1 ? url : url.slice(0, end)
  return path.replace(ESCAPES, literalUnlessDecodable) + url.slice(path.length)
}

function literalUnlessDecodable(escapes: string): string {
  try {
    decodeURIComponent(escapes)
    return escapes
  } catch {
    // Not percent-encoded UTF-8.
    return escapes.replaceAll('%', '%25')
  }
}
