type Node = Record<string, unknown>

/**
 * A copy of a schema in which every object refuses members it does not name. Objects that say themselves what else they take are left, and
 * parts of an intersection are closed together, because each alone would refuse the members of the others.
 */
export function closeObjects<T extends object>(schema: T): T {
  return close(schema as Node, true) as T
}

function close(node: Node, isClosing: boolean): Node {
  // Descriptors, because the compiler keeps its own marks in members that are not enumerable.
  const copy: Node = Object.defineProperties({}, Object.getOwnPropertyDescriptors(node))
  for (const [name, value] of Object.entries(node)) copy[name] = closeWithin(name, value)
  if (!isClosing) return copy
  if (Array.isArray(node['allOf'])) return { ...copy, unevaluatedProperties: false }
  if (node['type'] === 'object' && node['properties'] !== undefined && node['additionalProperties'] === undefined) {
    copy['additionalProperties'] = false
  }
  return copy
}

function closeWithin(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => (isNode(item) ? close(item, name !== 'allOf') : item))
  if (!isNode(value)) return value
  if (name === 'properties' || name === 'patternProperties') {
    return Object.fromEntries(Object.entries(value).map(([member, schema]) => [member, closeWithin('', schema)]))
  }
  // Values, not schemas.
  return name === 'const' || name === 'default' ? value : close(value, true)
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
