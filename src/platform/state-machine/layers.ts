import type { StateMachine } from '../state-machine.ts'

/** What takes up room in a layer: the dot where all begins, a state, the words on an arrow, or a place where a long arrow passes. */
export interface Cell {
  kind: 'start' | 'state' | 'label' | 'bend'
  lines: readonly string[]
  isFinal: boolean
}

/** An arrow by way of its cells from the upper to the lower end, the first one after the upper end being its label. */
export interface Way {
  cells: readonly Cell[]
  /** The arrow points to the upper end. */
  pointsUp: boolean
}

export interface Layers {
  /** From top to bottom; states in those with an even number, words in the others. */
  layers: Cell[][]
  ways: Way[]
}

/**
 * Puts every state below those that lead to it. The order in which the states are declared decides which arrows point down: one that
 * leads to an earlier state points up.
 */
export function layersOf(machine: StateMachine): Layers {
  const start: Cell = { kind: 'start', lines: [], isFinal: false }
  const states = machine.states.map(({ name, isFinal = false }): Cell => ({ kind: 'state', lines: [name], isFinal }))
  const cells = [start, ...states]
  const placeOf = new Map<string | null, number>([
    [null, 0],
    ...machine.states.map(({ name }, n) => [name, n + 1] as const),
  ])
  const arrows = groupTriggers(machine).map(({ from, to, triggers }) => {
    const [source, target] = [placeOf.get(from)!, placeOf.get(to)!]
    return { upper: Math.min(source, target), lower: Math.max(source, target), pointsUp: source > target, triggers }
  })

  const ranks = cells.map(() => 0)
  for (const lower of cells.keys()) {
    for (const arrow of arrows.filter((one) => one.lower === lower))
      ranks[lower] = Math.max(ranks[lower]!, ranks[arrow.upper]! + 1)
  }
  const layers = Array.from({ length: 2 * Math.max(...ranks) + 1 }, (): Cell[] => [])
  for (const [place, cell] of cells.entries()) layers[2 * ranks[place]!]!.push(cell)
  const ways = arrows.map(({ upper, lower, pointsUp, triggers }) => {
    const between = range(2 * ranks[upper]! + 1, 2 * ranks[lower]!).map((layer, step): Cell => {
      const cell: Cell = { kind: step === 0 ? 'label' : 'bend', lines: step === 0 ? triggers : [], isFinal: false }
      layers[layer]!.push(cell)
      return cell
    })
    return { cells: [cells[upper]!, ...between, cells[lower]!], pointsUp }
  })
  return { layers, ways }
}

interface Arrow {
  from: string | null
  to: string
  triggers: string[]
}

/** Several triggers that do the same share one arrow. */
function groupTriggers({ transitions }: StateMachine): Arrow[] {
  const arrows: Arrow[] = []
  for (const { from, to, trigger } of transitions) {
    const known = arrows.find((arrow) => arrow.from === from && arrow.to === to)
    if (known === undefined) arrows.push({ from, to, triggers: [trigger] })
    else known.triggers.push(trigger)
  }
  return arrows
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, step) => from + step)
}
