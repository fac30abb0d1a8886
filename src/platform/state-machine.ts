export interface StateInfo {
  /** For people: what it means. */
  description?: string
  /** Nothing leads out of it. */
  isFinal?: boolean
}

export interface Transition<State extends string = string, Trigger extends string = string> {
  /** Null: the thing comes into being. */
  from: State | null
  to: State
  /** What a person or the clock does. One trigger leads from one state to one other. */
  trigger: Trigger
  /** For people: what must hold besides the state; the rule function checks it. */
  guard?: string
  /** For people: what happens with it, in the same transaction. */
  effect?: string
}

/** A state machine as data: rules ask it, tests walk it, documents are drawn from it. */
export interface StateMachine<State extends string = string, Trigger extends string = string> {
  readonly noun: string
  readonly states: readonly ({ name: State } & StateInfo)[]
  readonly transitions: readonly Transition<State, Trigger>[]
}

interface Definition<States extends Record<string, StateInfo>, Trigger extends string> {
  /** Singular, kebab-case: the name of the thing in paths and documents. */
  noun: string
  states: States
  transitions: readonly Transition<keyof States & string, Trigger>[]
}

/** Names go into diagrams as they are; so nothing that has a meaning there. */
const NOUN = /^[a-z]+(?:-[a-z]+)*$/
const STATE = /^[A-Z]+(?:_[A-Z]+)*$/
const TRIGGER = /^[A-Za-z]+(?:[ -][A-Za-z]+)*$/

/** Declares a state machine; throws when it contradicts itself, so that a faulty one never gets past the start of the process. */
export function defineStateMachine<const States extends Record<string, StateInfo>, const Trigger extends string>(
  definition: Definition<States, Trigger>,
): StateMachine<keyof States & string, Trigger> {
  const { noun, transitions } = definition
  const names = Object.keys(definition.states) as (keyof States & string)[]
  const machine = { noun, states: names.map((name) => ({ name, ...definition.states[name] })), transitions }
  const faults = faultsOf(machine)
  if (faults.length > 0) throw new Error(`state machine "${noun}": ${faults.join('; ')}`)
  return machine
}

/** Where the trigger leads from this state (null: before it exists); undefined when it is not allowed there. */
export function nextState<State extends string, Trigger extends string>(
  machine: StateMachine<State, Trigger>,
  state: NoInfer<State> | null,
  trigger: NoInfer<Trigger>,
): State | undefined {
  return machine.transitions.find((transition) => transition.from === state && transition.trigger === trigger)?.to
}

/** Every trigger the machine knows, each once, in the order of the table. */
export function triggersOf<Trigger extends string>(machine: StateMachine<string, Trigger>): Trigger[] {
  return [...new Set(machine.transitions.map(({ trigger }) => trigger))]
}

function faultsOf(machine: StateMachine): string[] {
  const { noun, states, transitions } = machine
  const names = new Set(states.map(({ name }) => name))
  const unknown = transitions.flatMap(({ from, to }) => [from, to]).filter((name) => name !== null && !names.has(name))
  return [
    ...(NOUN.test(noun) ? [] : ['the noun is not kebab-case']),
    ...[...names].filter((name) => !STATE.test(name)).map((name) => `${name} is not in capitals`),
    ...transitions.filter(({ trigger }) => !TRIGGER.test(trigger)).map(({ trigger }) => `${trigger} is no words`),
    ...unknown.map((name) => `${name} is not one of its states`),
    ...duplicateTriggers(machine),
    ...unreachableStates(machine),
    ...misplacedEnds(machine),
  ]
}

function duplicateTriggers({ transitions }: StateMachine): string[] {
  const seen = new Set<string>()
  return transitions.flatMap(({ from, trigger }) => {
    const step = `${trigger} from ${from ?? 'nothing'}`
    if (seen.has(step)) return [`${step} leads to more than one state`]
    seen.add(step)
    return []
  })
}

function unreachableStates({ states, transitions }: StateMachine): string[] {
  const reached = new Set<string | null>([null])
  // Each round reaches at least one state more or is the last.
  for (let before = 0; before < reached.size;) {
    before = reached.size
    for (const { from, to } of transitions) if (reached.has(from)) reached.add(to)
  }
  return states.filter(({ name }) => !reached.has(name)).map(({ name }) => `${name} cannot be reached`)
}

function misplacedEnds({ states, transitions }: StateMachine): string[] {
  const left = new Set(transitions.map(({ from }) => from))
  return states.flatMap(({ name, isFinal = false }) => {
    if (isFinal && left.has(name)) return [`${name} is final and yet left`]
    if (!isFinal && !left.has(name)) return [`${name} is not final and never left`]
    return []
  })
}
