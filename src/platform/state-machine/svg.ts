import type { StateMachine } from '../state-machine.ts'
import { layOut, LINE_HEIGHT, type Box, type Layout } from './layout.ts'
import type { Cell, Way } from './layers.ts'

/** Its own paper, so that it can be read on any page; dark where the reader prefers that. */
const STYLE = `
    svg { --ink: #1f2933; --paper: #ffffff; --fill: #eef4fb; --edge: #3b6ea5; --line: #66788a; }
    @media (prefers-color-scheme: dark) {
      svg { --ink: #e6edf3; --paper: #12181f; --fill: #1d2b3a; --edge: #6ea8dc; --line: #93a4b5; }
    }
    .paper { fill: var(--paper); }
    .state { fill: var(--fill); stroke: var(--edge); stroke-width: 1.5; }
    .end { fill: none; stroke: var(--edge); }
    .start, .tip { fill: var(--line); }
    .arrow { fill: none; stroke: var(--line); stroke-width: 1.5; }
    text { fill: var(--ink); text-anchor: middle; dominant-baseline: central; }
    .name { font: 600 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
    .label { font: 12.5px system-ui, 'DejaVu Sans', sans-serif; }`

/** The machine as a picture: no script, no font and nothing else from elsewhere. */
export function toSvg(machine: StateMachine): string {
  const layout = layOut(machine)
  const { width, height, boxes, ways } = layout
  const title = `States of a ${machine.noun.replaceAll('-', ' ')}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
  <title id="title">${escapeText(title)}</title>
  <style>${STYLE}
  </style>
  <defs>
    <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
      <path class="tip" d="M 0 0 L 10 5 L 0 10 z"/>
    </marker>
  </defs>
  <rect class="paper" width="${width}" height="${height}" rx="10"/>
${[...ways.map((way) => drawArrow(layout, way)), ...[...boxes].map(([cell, box]) => drawCell(cell, box))].filter((line) => line !== '').join('\n')}
</svg>
`
}

function drawCell(cell: Cell, box: Box): string {
  switch (cell.kind) {
    case 'start':
      return `  <circle class="start" cx="${box.x}" cy="${box.y}" r="${box.width / 2}"/>`
    case 'state':
      return [
        rectangle('state', box, 0),
        ...(cell.isFinal ? [rectangle('end', box, 4)] : []),
        textLine('name', cell.lines[0]!, box.x, box.y),
      ].join('\n')
    case 'label': {
      const top = box.y - ((cell.lines.length - 1) * LINE_HEIGHT) / 2
      return cell.lines.map((line, n) => textLine('label', line, box.x, top + n * LINE_HEIGHT)).join('\n')
    }
    case 'bend':
      return ''
  }
}

function rectangle(name: string, { x, y, width, height }: Box, inset: number): string {
  const [left, top] = [x - width / 2 + inset, y - height / 2 + inset]
  return `  <rect class="${name}" x="${left}" y="${top}" width="${width - 2 * inset}" height="${height - 2 * inset}" rx="${10 - inset}"/>`
}

function textLine(name: string, text: string, x: number, y: number): string {
  return `  <text class="${name}" x="${x}" y="${y}">${escapeText(text)}</text>`
}

interface Stop {
  x: number
  /** Where the arrow comes in, and where it goes on below. */
  top: number
  bottom: number
  isWritten: boolean
}

/** From stop to stop in a curve, straight down past them, and with a gap where the label stands. */
function drawArrow(layout: Layout, way: Way): string {
  const stops = way.cells.map((cell, step): Stop => {
    const { x, y, height } = layout.boxes.get(cell)!
    const isEnd = step === 0 || step === way.cells.length - 1
    return {
      x: isEnd ? portOf(layout, way, cell) : x,
      top: y - height / 2,
      bottom: y + height / 2,
      isWritten: cell.kind === 'label',
    }
  })
  const parts = stops.slice(1).map((stop, step) => {
    const above = stops[step]!
    const middle = (above.bottom + stop.top) / 2
    const begin = step === 0 || above.isWritten ? `M ${above.x} ${above.bottom}` : `L ${above.x} ${above.bottom}`
    return `${begin} C ${above.x} ${middle} ${stop.x} ${middle} ${stop.x} ${stop.top}`
  })
  return `  <path class="arrow" marker-${way.pointsUp ? 'start' : 'end'}="url(#tip)" d="${parts.join(' ')}"/>`
}

/** Where along its side a state takes this arrow: arrows at one side keep apart, in the order of where they come from. */
function portOf({ boxes, ways }: Layout, way: Way, cell: Cell): number {
  const box = boxes.get(cell)!
  const atTop = way.cells.at(-1) === cell
  const next = ({ cells }: Way) => boxes.get(atTop ? cells.at(-2)! : cells[1]!)!.x
  const sharing = ways
    .filter(({ cells }) => (atTop ? cells.at(-1) : cells[0]) === cell)
    .toSorted((a, b) => next(a) - next(b))
  const share = (sharing.indexOf(way) + 1) / (sharing.length + 1)
  return cell.kind === 'start' ? box.x : Math.round(box.x + (share - 0.5) * box.width)
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
