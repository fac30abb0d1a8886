import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { stateMachines } from '../src/app.ts'
import { stateMachineDocs } from './state-machine-docs.ts'

const folder = join(import.meta.dirname, '../docs/state-machines')

it('finds docs/state-machines as the code says', () => {
  const found = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const)

  expect(new Map(found)).toEqual(stateMachineDocs(stateMachines))
})

it('knows the machines of the store', () => {
  expect(stateMachines.map(({ noun }) => noun)).toEqual(['product', 'bag', 'order'])
})
