import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** A rule of the house that a file breaks, ready to print. */
export type Breach = string

const MAX_LINES = 500
const layers = ['platform', 'changes', 'stream', 'delivery', 'realtime', 'modules', 'cli']

/** Which layer may import which other layer (CONTRIBUTING, "Who may import whom"). */
const mayImport: Record<string, readonly string[]> = {
  platform: [],
  changes: ['platform'],
  stream: ['platform'],
  delivery: ['changes', 'platform'],
  realtime: ['changes', 'platform'],
  modules: ['realtime', 'delivery', 'stream', 'changes', 'platform'],
  cli: layers,
}

const moduleArrows: Record<string, readonly string[]> = {
  identity: [],
  catalog: ['identity'],
  sources: ['identity'],
  calendar: ['identity'],
  sync: ['identity'],
  social: ['identity', 'catalog'],
  orders: ['identity', 'catalog'],
}

/** Checks import rules and file sizes of everything below `root`/src, tests included, and returns every breach. */
export function checkHouse(root: string): Breach[] {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `src/${name}`)
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    return [...sizeBreaches(file, text), ...importsOf(text).flatMap((target) => importBreaches(root, file, target))]
  })
}

function sizeBreaches(file: string, text: string): Breach[] {
  const lines = text.split('\n').length - 1
  if (lines <= MAX_LINES || file.endsWith('.test.ts')) return []
  return [`${file}: ${lines} lines, at most ${MAX_LINES}`]
}

function importsOf(text: string): string[] {
  const pattern = /(?:from|import)\s*\(?\s*'(\.[^']+)'/g
  return [...text.matchAll(pattern)].map((match) => match[1]!)
}

function importBreaches(root: string, file: string, target: string): Breach[] {
  if (!/\.(ts|json)$/.test(target)) return [`${file}: import '${target}' names no file extension`]
  const path = relative(root, join(root, dirname(file), target))
  const from = place(file)
  const to = place(path)
  if (to === undefined || from === undefined) return testSupportBreach(file, path)
  if (from.layer !== to.layer) return layerBreach(file, path, from, to)
  if (from.layer !== 'modules' || from.module === to.module || to.module === undefined) return []
  return moduleBreach(file, path, from.module, to.module)
}

interface Place {
  layer: string
  module: string | undefined
}

function place(path: string): Place | undefined {
  const [src, layer, module, ...rest] = path.split('/')
  if (src !== 'src' || layer === undefined || !layers.includes(layer)) return undefined
  return { layer, module: layer === 'modules' && rest.length > 0 ? module : undefined }
}

function testSupportBreach(file: string, path: string): Breach[] {
  const outside = !path.startsWith('src/')
  if (!outside || file.endsWith('.test.ts') || path === 'package.json') return []
  return [`${file}: imports ${path}, which is outside src/`]
}

function layerBreach(file: string, path: string, from: Place, to: Place): Breach[] {
  const allowed = mayImport[from.layer] ?? []
  if (!allowed.includes(to.layer)) return [`${file}: ${from.layer} must not import ${to.layer} (${path})`]
  const isDoor = to.layer === 'platform' || path.endsWith('/index.ts') || (to.layer === 'cli' && from.layer === 'cli')
  return isDoor || file.endsWith('.test.ts') ? [] : [`${file}: ${path} is entered past its index.ts`]
}

function moduleBreach(file: string, path: string, from: string | undefined, to: string): Breach[] {
  if (from === undefined) return path.endsWith('/index.ts') ? [] : [`${file}: ${path} is entered past its index.ts`]
  if (!(moduleArrows[from] ?? []).includes(to)) return [`${file}: module ${from} must not import module ${to}`]
  return path === `src/modules/${to}/index.ts` ? [] : [`${file}: ${path} is entered past its index.ts`]
}
