import fc from 'fast-check'
import { SaxesParser } from 'saxes'
import { describe, expect, it } from 'vitest'

import { defineStateMachine, type StateMachine } from '../state-machine.ts'
import { layOut, type Box } from './layout.ts'
import { toMermaid } from './mermaid.ts'
import { toSvg } from './svg.ts'

const door = defineStateMachine({
  noun: 'garden-door',
  states: { SHUT: {}, OPEN: {}, WALLED_UP: { isFinal: true } },
  transitions: [
    { from: null, to: 'SHUT', trigger: 'build' },
    { from: 'SHUT', to: 'OPEN', trigger: 'open' },
    { from: 'SHUT', to: 'OPEN', trigger: 'kick' },
    { from: 'OPEN', to: 'SHUT', trigger: 'shut' },
    { from: null, to: 'OPEN', trigger: 'build without a door' },
    { from: 'SHUT', to: 'WALLED_UP', trigger: 'wall up' },
  ],
})

/** Any machine of up to eight states; every state is reached from an earlier one, and some lead back. */
const machines: fc.Arbitrary<StateMachine> = fc
  .integer({ min: 1, max: 8 })
  .chain((count) => {
    const arrow = fc.tuple(fc.nat(count - 1), fc.nat(count - 1), fc.integer({ min: 1, max: 4 }))
    return fc.tuple(fc.array(fc.nat(), { minLength: count, maxLength: count }), fc.array(arrow, { maxLength: 12 }))
  })
  .map(([sources, arrows]) => {
    const names = sources.map((_, n) => `STATE_${'ABCDEFGH'[n]}`)
    const tree = sources.map((source, n) => ({
      from: n === 0 ? null : names[source % n]!,
      to: names[n]!,
      trigger: 'grow',
    }))
    const others = arrows
      .filter(([from, to]) => from !== to)
      .map(([from, to, words]) => ({ from: names[from]!, to: names[to]!, trigger: 'go on '.repeat(words).trim() }))
    return { noun: 'thing', states: names.map((name) => ({ name })), transitions: [...tree, ...others] }
  })

function overlap(a: Box, b: Box): boolean {
  return Math.abs(a.x - b.x) < (a.width + b.width) / 2 && Math.abs(a.y - b.y) < (a.height + b.height) / 2
}

describe('layOut', () => {
  it('gives everything a place of its own within the picture', () => {
    fc.assert(
      fc.property(machines, (machine) => {
        const { boxes, width, height } = layOut(machine)
        const all = [...boxes.values()]
        const clashes = all.flatMap((box, n) => all.slice(n + 1).filter((other) => overlap(box, other)))
        const outside = all.filter(
          ({ x, y, width: w, height: h }) => x < w / 2 || x + w / 2 > width || y < h / 2 || y + h / 2 > height,
        )
        expect({ clashes, outside }).toEqual({ clashes: [], outside: [] })
      }),
      { numRuns: 300 },
    )
  })

  it('puts a state below those that lead to it', () => {
    const { boxes } = layOut(door)

    const height = (line: string) => [...boxes].find(([{ lines }]) => lines[0] === line)![1].y
    expect(height('SHUT')).toBeLessThan(height('open'))
    expect(height('open')).toBeLessThan(height('OPEN'))
    expect(height('SHUT')).toBeLessThan(height('WALLED_UP'))
  })

  it('lets triggers that do the same share an arrow', () => {
    const labels = [...layOut(door).boxes.keys()].filter(({ kind }) => kind === 'label').map(({ lines }) => lines)

    expect(labels).toContainEqual(['open', 'kick'])
    expect(labels).toHaveLength(5)
  })
})

describe('toSvg', () => {
  it('is well-formed and says every name once', () => {
    fc.assert(
      fc.property(machines, (machine) => {
        const texts = textsOf(toSvg(machine))
        const names = machine.states.map(({ name }) => name)
        expect(texts.filter((text) => text.startsWith('STATE_')).toSorted()).toEqual(names.toSorted())
        expect(texts).toHaveLength(names.length + machine.transitions.length + 1)
      }),
      { numRuns: 100 },
    )
  })

  it('marks the final states and points every arrow where it leads', () => {
    const svg = toSvg(door)

    expect(svg.match(/class="end"/g)).toHaveLength(1)
    expect(svg.match(/marker-end/g)).toHaveLength(4)
    expect(svg.match(/marker-start/g)).toHaveLength(1)
  })

  it('writes text as text', () => {
    const machine = {
      noun: 'thing',
      states: [{ name: '<A & B>' }],
      transitions: [{ from: null, to: '<A & B>', trigger: '<b>' }],
    }

    expect(textsOf(toSvg(machine))).toEqual(['States of a thing', '<b>', '<A & B>'])
  })

  it('loads nothing from elsewhere and runs nothing', () => {
    const svg = toSvg(door)

    expect(svg.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(/https?:|<script|href=|@import/)
  })
})

it('writes Mermaid with a beginning and the ends', () => {
  expect(toMermaid(door)).toBe(`stateDiagram-v2
    [*] --> SHUT: build
    SHUT --> OPEN: open
    SHUT --> OPEN: kick
    OPEN --> SHUT: shut
    [*] --> OPEN: build without a door
    SHUT --> WALLED_UP: wall up
    WALLED_UP --> [*]
`)
})

/** The title and the texts of a picture; throws when it is no XML. */
function textsOf(svg: string): string[] {
  const texts: string[] = []
  const parser = new SaxesParser()
  let inside = false
  parser.on('error', (error) => {
    throw error
  })
  parser.on('opentag', ({ name }) => {
    inside = name === 'text' || name === 'title'
    if (inside) texts.push('')
  })
  parser.on('closetag', () => {
    inside = false
  })
  parser.on('text', (text) => {
    if (inside) texts[texts.length - 1] += text
  })
  parser.write(svg).close()
  return texts
}
