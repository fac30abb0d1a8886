import type { StateMachine } from '../state-machine.ts'

/** The machine as a Mermaid diagram; names have no characters with a meaning there (`defineStateMachine` sees to it). */
export function toMermaid({ states, transitions }: StateMachine): string {
  const arrows = transitions.map(({ from, to, trigger }) => `    ${from ?? '[*]'} --> ${to}: ${trigger}`)
  const ends = states.filter(({ isFinal }) => isFinal).map(({ name }) => `    ${name} --> [*]`)
  return `${['stateDiagram-v2', ...arrows, ...ends].join('\n')}\n`
}
