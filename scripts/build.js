// Bundles our own TypeScript into dist/; packages stay in node_modules. Types are checked by `npm run check`, not here.
import { cp, mkdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')

await rm(dist, { recursive: true, force: true })
await build({
  entryPoints: [join(root, 'src/main.ts')],
  outdir: dist,
  bundle: true,
  splitting: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning',
})
await mkdir(join(dist, 'static'), { recursive: true })
const redoc = createRequire(import.meta.url).resolve('redoc/bundles/redoc.standalone.js')
await cp(redoc, join(dist, 'static/redoc.standalone.js'))
