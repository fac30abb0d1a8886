/** Topic patterns as SQL wants them: whole names, and beginnings of names. */
export interface TopicPatterns {
  names: string[]
  prefixes: string[]
}

/** Splits topic names and patterns with a trailing `*`. */
export function parseTopicPatterns(patterns: readonly string[]): TopicPatterns {
  return {
    names: patterns.filter((pattern) => !pattern.endsWith('*')),
    prefixes: patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1)),
  }
}

/** A test for topic names that remembers its answers; there are few topics. */
export function topicMatcher(patterns: readonly string[]): (topic: string) => boolean {
  const { names, prefixes } = parseTopicPatterns(patterns)
  const known = new Map<string, boolean>()
  return (topic) => {
    const answer = known.get(topic) ?? (names.includes(topic) || prefixes.some((prefix) => topic.startsWith(prefix)))
    known.set(topic, answer)
    return answer
  }
}
