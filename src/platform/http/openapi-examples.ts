type Json = Record<string, unknown>

/** A value that fits the schema: its first example or default, else one made from its rules. */
export function exampleOf(schema: unknown): unknown {
  const node = (schema ?? {}) as Json
  if (Array.isArray(node.examples) && node.examples.length > 0) return node.examples[0]
  for (const name of ['example', 'default', 'const']) if (node[name] !== undefined) return node[name]
  if (Array.isArray(node.enum)) return node.enum[0]
  const branches = (node.anyOf ?? node.oneOf) as unknown[] | undefined
  if (branches !== undefined) return exampleOf(branches.find((branch) => (branch as Json).type !== 'null'))
  if (Array.isArray(node.allOf)) return Object.assign({}, ...node.allOf.map(exampleOf)) as unknown
  return byType(node)
}

function byType(node: Json): unknown {
  switch ([node.type].flat()[0]) {
    case 'object':
      return Object.fromEntries(
        Object.entries((node.properties ?? {}) as Json).map(([name, member]) => [name, exampleOf(member)]),
      )
    case 'array':
      return [exampleOf(node.items)]
    case 'integer':
    case 'number':
      return node.minimum ?? 1
    case 'boolean':
      return true
    case 'string':
      return (
        TEXTS[String(node.format)] ??
        'text'.padEnd(Number(node.minLength ?? 0), 'x').slice(0, Number(node.maxLength ?? 100))
      )
    default:
      return null
  }
}

const TEXTS: Record<string, string> = {
  email: 'someone@example.com',
  uuid: '0193e3a0-7c1e-7000-8000-3f2a5c9d1b47',
  uri: 'https://shop.example/',
  date: '2026-01-31',
  'date-time': '2026-01-31T09:15:02.123456Z',
}
