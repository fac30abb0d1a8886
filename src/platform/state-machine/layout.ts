import type { StateMachine } from '../state-machine.ts'
import { layersOf, type Cell, type Layers, type Way } from './layers.ts'

/** Pixels. */
export interface Box {
  /** Of the middle. */
  x: number
  y: number
  width: number
  height: number
}

export interface Layout {
  width: number
  height: number
  boxes: ReadonlyMap<Cell, Box>
  ways: readonly Way[]
}

/** Width of a letter, in the font of states and in that of labels. */
const STATE_LETTER = 8
const LABEL_LETTER = 6.8
export const LINE_HEIGHT = 17
const STATE_HEIGHT = 38
const START_SIZE = 14
const BEND_WIDTH = 10
const GAP = 22
const LAYER_GAP = 30
const MARGIN = 20
/** Enough for machines of a dozen states to come to rest. */
const ROUNDS = 24

/** Gives every cell a box of its own: nothing that is written overlaps anything else. */
export function layOut(machine: StateMachine): Layout {
  const { layers, ways } = layersOf(machine)
  const neighbours = neighboursOf(ways)
  untangle(layers, neighbours)
  const centres = spread(layers, neighbours)
  return { ...place(layers, centres), ways }
}

type Neighbours = ReadonlyMap<Cell, readonly Cell[]>

function neighboursOf(ways: readonly Way[]): Neighbours {
  const neighbours = new Map<Cell, Cell[]>()
  const add = (cell: Cell, other: Cell) => neighbours.set(cell, [...(neighbours.get(cell) ?? []), other])
  for (const { cells } of ways) {
    for (const [step, cell] of cells.slice(1).entries()) {
      add(cell, cells[step]!)
      add(cells[step]!, cell)
    }
  }
  return neighbours
}

/** Sorts each layer by the middle of its cells' neighbours, the usual way to have few crossings (Sugiyama, Tagawa and Toda, 1981). */
function untangle(layers: Layers['layers'], neighbours: Neighbours): void {
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? layers : layers.toReversed()
    for (const layer of order) {
      const places = new Map(layers.flatMap((cells) => cells.map((cell, n) => [cell, n / cells.length] as const)))
      const wishes = new Map(
        layer.map((cell) => [cell, mean(neighbours.get(cell)!.map((other) => places.get(other)!))]),
      )
      layer.sort((a, b) => wishes.get(a)! - wishes.get(b)!)
    }
  }
}

/** Moves every cell towards the middle of its neighbours, as far as those beside it let it. */
function spread(layers: Layers['layers'], neighbours: Neighbours): Map<Cell, number> {
  const centres = new Map<Cell, number>()
  for (const layer of layers)
    apart(
      layer,
      layer.map(() => 0),
    ).forEach((x, n) => centres.set(layer[n]!, x))
  for (let round = 0; round < ROUNDS; round++) {
    for (const layer of round % 2 === 0 ? layers : layers.toReversed()) {
      const wishes = layer.map((cell) => mean(neighbours.get(cell)!.map((other) => centres.get(other)!)))
      apart(layer, wishes).forEach((x, n) => centres.set(layer[n]!, x))
    }
  }
  return centres
}

interface Pool {
  wish: number
  size: number
}

/** The places nearest to the wishes that leave a gap between cells: isotonic regression by pooling neighbours that collide. */
function apart(layer: readonly Cell[], wishes: readonly number[]): number[] {
  const offsets: number[] = []
  for (const [n, cell] of layer.entries()) {
    const before = layer[n - 1]
    offsets.push(before === undefined ? 0 : offsets[n - 1]! + (widthOf(before) + widthOf(cell)) / 2 + GAP)
  }
  const pools: Pool[] = []
  for (const [n, wish] of wishes.entries()) {
    let pool = { wish: wish - offsets[n]!, size: 1 }
    for (let last = pools.at(-1); last !== undefined && last.wish > pool.wish; last = pools.at(-1)) {
      const size = last.size + pool.size
      pool = { wish: (last.wish * last.size + pool.wish * pool.size) / size, size }
      pools.pop()
    }
    pools.push(pool)
  }
  const bases = pools.flatMap(({ wish, size }) => Array.from({ length: size }, () => wish))
  return bases.map((base, n) => base + offsets[n]!)
}

function place(layers: Layers['layers'], centres: ReadonlyMap<Cell, number>): Omit<Layout, 'ways'> {
  const cells = layers.flat()
  const left = Math.min(...cells.map((cell) => centres.get(cell)! - widthOf(cell) / 2))
  const right = Math.max(...cells.map((cell) => centres.get(cell)! + widthOf(cell) / 2))
  const boxes = new Map<Cell, Box>()
  let top = MARGIN
  for (const layer of layers) {
    const height = Math.max(...layer.map(heightOf))
    for (const cell of layer) {
      const x = Math.round(centres.get(cell)! - left + MARGIN)
      // What is on an arrow is as high as its layer: the arrow never bends beside something that is written.
      const own = cell.kind === 'bend' || cell.kind === 'label' ? height : heightOf(cell)
      boxes.set(cell, { x, y: top + height / 2, width: widthOf(cell), height: own })
    }
    top += height + LAYER_GAP
  }
  return { width: Math.round(right - left + 2 * MARGIN), height: top - LAYER_GAP + MARGIN, boxes }
}

function widthOf({ kind, lines }: Cell): number {
  const letters = Math.max(0, ...lines.map((line) => line.length))
  const widths = {
    start: START_SIZE,
    state: letters * STATE_LETTER + 36,
    label: letters * LABEL_LETTER + 8,
    bend: BEND_WIDTH,
  }
  return widths[kind]
}

function heightOf({ kind, lines }: Cell): number {
  return { start: START_SIZE, state: STATE_HEIGHT, label: lines.length * LINE_HEIGHT + 4, bend: 0 }[kind]
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
