import { createHash } from 'node:crypto'

import { Type, type Static } from 'typebox'

import { NotFoundError } from '../errors.ts'
import type { App } from '../http/app.ts'
import { PAGE_CSP } from '../http/pages.ts'
import { nullable } from '../http/schemas.ts'
import type { StateMachine } from '../state-machine.ts'
import { toMermaid } from './mermaid.ts'
import { toSvg } from './svg.ts'

const config = { access: 'open', needsDatabase: false } as const
const tags = ['System']
const BASE = '/api/state-machines/'

const machineSchema = Type.Object({
  noun: Type.String({ examples: ['order'] }),
  states: Type.Array(Type.Object({ name: Type.String(), description: Type.String(), is_final: Type.Boolean() })),
  transitions: Type.Array(
    Type.Object({
      from: nullable(Type.String()),
      to: Type.String(),
      trigger: Type.String(),
      guard: nullable(Type.String()),
      effect: nullable(Type.String()),
    }),
  ),
  svg: Type.String({ description: 'Path of the picture.' }),
  mermaid: Type.String({ description: 'Path of the Mermaid diagram.' }),
})

/** The state machines as data and drawings, for everybody; made once. */
export function registerStateMachineRoutes(app: App, machines: readonly StateMachine[]): void {
  const list = machines.map(presentMachine)
  app.get(
    BASE,
    {
      config,
      schema: {
        tags,
        operationId: 'listStateMachines',
        summary: 'The states of things and what leads from one to another',
        response: { 200: Type.Array(machineSchema) },
      },
    },
    async () => list,
  )
  registerDrawings(app, drawingsOf(machines))
}

function registerDrawings(app: App, drawings: ReadonlyMap<string, Drawing>): void {
  const content = { 'image/svg+xml': { schema: Type.String() }, 'text/plain': { schema: Type.String() } }
  app.get(
    `${BASE}:file`,
    {
      config: { ...config, errors: [404], postman: { path: { file: 'order.svg' } } },
      schema: {
        tags,
        operationId: 'getStateMachine',
        summary: 'A state machine as a picture or as a Mermaid diagram',
        params: Type.Object({
          file: Type.String({ description: 'The noun and `.svg` or `.mmd`, such as `order.svg`.' }),
        }),
        response: {
          200: { description: 'The drawing.', content },
          304: Type.Null({ description: 'The copy you have is good.' }),
        },
      },
    },
    async (request, reply) => {
      const drawing = drawings.get(request.params.file)
      if (drawing === undefined) throw new NotFoundError()
      const { type, body, etag } = drawing
      reply.header('cache-control', 'public, max-age=3600').header('etag', etag)
      if (request.headers['if-none-match'] === etag) return reply.code(304).send(null)
      return reply.type(type).header('content-security-policy', PAGE_CSP).send(body)
    },
  )
}

interface Drawing {
  type: string
  body: string
  etag: string
}

/** By file name; lists are found under the plural of a noun, so a drawing is as well. */
function drawingsOf(machines: readonly StateMachine[]): Map<string, Drawing> {
  return new Map(
    machines.flatMap((machine) => {
      const svg = drawing('image/svg+xml; charset=utf-8', toSvg(machine))
      const mermaid = drawing('text/plain; charset=utf-8', toMermaid(machine))
      return [machine.noun, `${machine.noun}s`].flatMap((name): [string, Drawing][] => [
        [`${name}.svg`, svg],
        [`${name}.mmd`, mermaid],
      ])
    }),
  )
}

function drawing(type: string, body: string): Drawing {
  return { type, body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }
}

function presentMachine({ noun, states, transitions }: StateMachine): Static<typeof machineSchema> {
  return {
    noun,
    states: states.map(({ name, description = '', isFinal = false }) => ({ name, description, is_final: isFinal })),
    transitions: transitions.map(({ from, to, trigger, guard = null, effect = null }) => ({
      from,
      to,
      trigger,
      guard,
      effect,
    })),
    svg: `${BASE}${noun}.svg`,
    mermaid: `${BASE}${noun}.mmd`,
  }
}
