/**
 * Query strings, path parameters and form bodies are text. Their values become the integers, numbers and booleans the schema names,
 * strictly: what does not look like one stays text and fails validation with that type's message. JSON bodies never pass here.
 */
export type TextReader = (values: Readonly<Record<string, unknown>>) => Record<string, unknown>

interface Schema {
  type?: string | string[]
  items?: Schema
  properties?: Record<string, Schema>
  anyOf?: Schema[]
}

type Read = (text: string) => unknown

const INTEGER = /^[+-]?\d{1,15}$/
const NUMBER = /^[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})$/
const BOOLEANS = new Map<string, boolean>([
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
])

const READERS: Record<string, Read> = {
  integer: (text) => (INTEGER.test(text) ? Number(text) : text),
  number: (text) => (NUMBER.test(text) ? Number(text) : text),
  boolean: (text) => BOOLEANS.get(text.toLowerCase()) ?? text,
}

/** Built once per route. A parameter given twice counts as its last value, except where the schema wants a list. */
export function textReader(schema: unknown): TextReader {
  const properties = Object.entries((schema as Schema).properties ?? {})
  const reads = new Map(properties.map(([name, property]) => [name, propertyReader(property)]))
  return (values) => {
    const result: Record<string, unknown> = {}
    for (const name of Object.keys(values)) {
      const read = reads.get(name)
      result[name] = read === undefined ? values[name] : read(values[name])
    }
    return result
  }
}

function propertyReader(schema: Schema): (value: unknown) => unknown {
  const list = alternatives(schema).find(({ type }) => includesType(type, 'array'))
  if (list !== undefined) {
    const read = scalarReader(list.items ?? {})
    return (value) => (Array.isArray(value) ? value : [value]).map((item) => read(String(item)))
  }
  const read = scalarReader(schema)
  return (value) => read(String(Array.isArray(value) ? value.at(-1) : value))
}

function scalarReader(schema: Schema): Read {
  const types = alternatives(schema).flatMap(({ type }) => type ?? [])
  const name = types.includes('string') ? undefined : types.find((type) => type in READERS)
  return READERS[name ?? ''] ?? ((text) => text)
}

function alternatives(schema: Schema): Schema[] {
  return [schema, ...(schema.anyOf ?? [])]
}

function includesType(type: string | string[] | undefined, name: string): boolean {
  return type === name || (Array.isArray(type) && type.includes(name))
}
