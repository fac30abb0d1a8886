#!/usr/bin/env node
// The `souk` command. Builds dist/ first when a checkout was installed without scripts.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const main = join(root, 'dist/main.js')

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Souk needs Node 20.19 or newer; this is ${process.versions.node}.`)
  process.exit(1)
}
if (!existsSync(main)) await import(pathToFileURL(join(root, 'scripts/build.js')).href)
await import(pathToFileURL(main).href)
