const PATTERN = /^(?:\*|[a-z0-9][a-z0-9._-]{0,98}\*?)$/i

/**
 * Whether the text can name topics: a topic, a beginning followed by `*`, or `*` alone. Topics that do not exist are welcome: a client
 * may be newer than the server, and a later version may bring them.
 */
export function isTopicPattern(text: string): boolean {
  return PATTERN.test(text)
}

/** Whether one of the patterns covers the topic. */
export function coversTopic(patterns: readonly string[], topic: string): boolean {
  for (const pattern of patterns) {
    if (pattern === topic) return true
    if (pattern.endsWith('*') && topic.startsWith(pattern.slice(0, -1))) return true
  }
  return false
}

const coveringPatterns = new Map<string, readonly string[]>()

/** Every pattern that covers the topic; there are as many as it has letters, so listeners can be looked up by each. Kept per topic: the topics of the log are few. */
export function patternsCovering(topic: string): readonly string[] {
  const known = coveringPatterns.get(topic)
  if (known !== undefined) return known
  const patterns = [topic]
  for (let length = topic.length; length >= 0; length--) patterns.push(`${topic.slice(0, length)}*`)
  coveringPatterns.set(topic, patterns)
  return patterns
}
