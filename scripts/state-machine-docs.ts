import type { StateMachine } from '../src/platform/state-machine.ts'
import { toMermaid } from '../src/platform/state-machine/mermaid.ts'
import { toSvg } from '../src/platform/state-machine/svg.ts'

const introduction = `# State machines

Generated from the code by \`npm run docs\`; do not edit. The server draws the same at \`/api/state-machines/<noun>.svg\` and \`.mmd\` (Mermaid), and
lists them as JSON at \`/api/state-machines/\`. A step that is not in a table is refused. States with a double border are final.`

/** Files of docs/state-machines: a picture and a Mermaid diagram of each machine, and one page with all of them. */
export function stateMachineDocs(machines: readonly StateMachine[]): Map<string, string> {
  const sorted = machines.toSorted((a, b) => (a.noun < b.noun ? -1 : 1))
  const page = `${[introduction, ...sorted.map(section)].join('\n\n')}\n`
  return new Map([
    ['README.md', page],
    ...sorted.flatMap((machine): [string, string][] => [
      [`${machine.noun}.svg`, toSvg(machine)],
      [`${machine.noun}.mmd`, toMermaid(machine)],
    ]),
  ])
}

function section({ noun, states, transitions }: StateMachine): string {
  return [
    `## ${noun}`,
    `![States of the ${noun}](${noun}.svg)`,
    table(
      ['state', 'meaning'],
      states.map(({ name, description = '', isFinal }) => [`\`${name}\`${isFinal ? ' (final)' : ''}`, description]),
    ),
    table(
      ['from', 'to', 'trigger', 'guard', 'effect'],
      transitions.map(({ from, to, trigger, guard = '', effect = '' }) => [
        from === null ? '-' : `\`${from}\``,
        `\`${to}\``,
        trigger,
        guard,
        effect,
      ]),
    ),
  ].join('\n\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
