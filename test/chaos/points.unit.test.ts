import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

import { faultPoints, pointsOf } from './points.ts'

test('every fault point of the code is killed at by the chaos suite', () => {
  const source = join(import.meta.dirname, '../../src')
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /(?<!\.test)\.ts$/.test(name),
  )
  const named = files.flatMap((name) => {
    const text = readFileSync(join(source, name), 'utf8')
    return [...text.matchAll(/faultPoint\('([a-z-]+)'\)/g)].map((match) => match[1])
  })

  expect(faultPoints.map((point) => point.name).toSorted()).toEqual(
    [...new Set(named)].toSorted((a = '', b = '') => (a < b ? -1 : 1)),
  )
})

test('every fault point of the store is killed at among several processes, by whoever passes it', () => {
  const ofStore = faultPoints.filter(({ work }) => work === 'store').map(({ name }) => name)
  const named = (role: 'serve' | 'api' | 'worker') => pointsOf(role).map(({ name }) => name)

  expect(named('serve')).toEqual(expect.arrayContaining(ofStore))
  expect([...new Set([...named('api'), ...named('worker')])].toSorted()).toEqual(named('serve').toSorted())
})
