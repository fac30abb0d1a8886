/** Values looked at for messages; a person reads the first few, and a megabyte of mistakes must not hold up everybody else. */
const MAX_VALUES = 5_000

export interface Sample {
  value: unknown
  /** Path of the first list that was cut short; undefined when the sample is everything. */
  cutAt: string[] | undefined
}

/** The value with its lists cut short where it holds too many values. */
export function sampleOf(value: unknown): Sample {
  const state = { left: MAX_VALUES, cutAt: undefined as string[] | undefined }
  return { value: copy(value, [], state), cutAt: state.cutAt }
}

function copy(value: unknown, path: string[], state: { left: number; cutAt: string[] | undefined }): unknown {
  state.left -= 1
  if (typeof value !== 'object' || value === null) return value
  if (!Array.isArray(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, copy(member, [...path, name], state)]),
    )
  }
  const items: unknown[] = []
  for (const [index, item] of value.entries()) {
    if (state.left <= 0) {
      state.cutAt ??= path
      break
    }
    items.push(copy(item, [...path, String(index)], state))
  }
  return items
}
