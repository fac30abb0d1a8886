// `npm run check`: formatter, type-aware linter, compiler, the rules of the house, generated documents. Runs all, reports all.
import { spawnSync } from 'node:child_process'

const steps = [
  { name: 'format', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings', '--quiet'] },
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'imports and sizes', command: ['tsx', 'scripts/check-house.ts'] },
  { name: 'generated documents', command: ['tsx', 'scripts/generate-docs.ts', '--check'] },
]

let failed = 0
for (const { name, command } of steps) {
  const started = Date.now()
  const result = spawnSync('npx', ['--no-install', ...command], { stdio: 'inherit' })
  const isGood = result.status === 0
  if (!isGood) failed += 1
  console.log(`${isGood ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`)
}
process.exit(failed === 0 ? 0 : 1)
