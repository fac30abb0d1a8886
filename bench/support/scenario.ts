/** One line of the table: ours beside the bare limit measured in the same run. */
export interface Measurement {
  what: string
  ours: number
  /** Absent where the promise is an absolute figure. */
  bare?: number
  unit: string
  /** More about the same measurement, such as its other percentiles. */
  note?: string
  /** The goal as design.md words it. */
  goal?: string
  /** Whether the goal was reached; absent without a goal. */
  reached?: boolean
}

export interface Sizes {
  /** Small sizes and short runs: proves that the scenarios work, says nothing about speed. */
  isSmoke: boolean
  products: number
  /** Sizes of catalogue that a store is measured at. */
  catalogues: readonly number[]
  /** Seconds of load per measurement. */
  seconds: number
  /** How often ours and bare are measured in turn; the median counts. */
  rounds: number
}

export interface Scenario {
  name: string
  run(sizes: Sizes): Promise<Measurement[]>
}

/** A measurement of a rate against its bare limit: reached when ours is at least `atLeast` of bare. */
export function ratioOf(what: string, unit: string, ours: number, bare: number, atLeast?: number): Measurement {
  const line: Measurement = { what, ours, bare, unit }
  if (atLeast === undefined) return line
  return { ...line, goal: `at least ${Number(atLeast.toFixed(2))} of bare`, reached: ours / bare >= atLeast }
}

/** A measurement that must stay below a limit. */
export function below(what: string, unit: string, ours: number, limit: number): Measurement {
  return { what, ours, unit, goal: `under ${limit} ${unit}`, reached: ours < limit }
}

/** A measurement that must reach a floor. */
export function atLeast(what: string, unit: string, ours: number, floor: number): Measurement {
  return { what, ours, unit, goal: `at least ${floor} ${unit}`, reached: ours >= floor }
}
