import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

import { checkHouse } from './house.ts'

function house(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'souk-house-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

test('this repository keeps its own rules', () => {
  expect(checkHouse(join(import.meta.dirname, '..'))).toEqual([])
})

test('refuses an import against the arrows between layers', () => {
  const root = house({ 'src/platform/a.ts': `import { x } from '../changes/index.ts'` })

  expect(checkHouse(root)).toEqual(['src/platform/a.ts: platform must not import changes (src/changes/index.ts)'])
})

test('refuses to enter a module past its index', () => {
  const root = house({ 'src/modules/orders/orders.ts': `import { x } from '../catalog/stock.ts'` })

  expect(checkHouse(root)).toEqual([
    'src/modules/orders/orders.ts: src/modules/catalog/stock.ts is entered past its index.ts',
  ])
})

test('refuses an arrow between modules that is not drawn', () => {
  const root = house({ 'src/modules/catalog/a.ts': `import { x } from '../orders/index.ts'` })

  expect(checkHouse(root)).toEqual(['src/modules/catalog/a.ts: module catalog must not import module orders'])
})

test('refuses a file of more than 500 lines', () => {
  const root = house({ 'src/platform/long.ts': '//\n'.repeat(501) })

  expect(checkHouse(root)).toEqual(['src/platform/long.ts: 501 lines, at most 500'])
})
