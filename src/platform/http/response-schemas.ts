type Json = Record<string, unknown>

/**
 * `X or null` written as `anyOf` is serialised by trying a validator per branch; as a list of types it is compiled into a comparison. The
 * meaning is the same, so the faster form is used whatever a schema says.
 */
export function simplifyResponses(responses: unknown): Json {
  return simplify(responses) as Json
}

function simplify(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(simplify)
  if (typeof node !== 'object' || node === null) return node
  const copy = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, simplify(value)]))
  return mergeNull(copy) ?? copy
}

function mergeNull({ anyOf, ...rest }: Json): Json | undefined {
  if (!Array.isArray(anyOf) || anyOf.length !== 2) return undefined
  const branches = anyOf as Json[]
  const value = branches.find(({ type }) => type !== 'null')
  const hasNull = branches.some(({ type }) => type === 'null')
  if (!hasNull || typeof value?.type !== 'string') return undefined
  // A list of allowed values would also have to name null.
  if ('enum' in value || 'const' in value) return undefined
  return { ...value, ...rest, type: [value.type, 'null'] }
}
