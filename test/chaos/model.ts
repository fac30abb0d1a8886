import { spawn } from 'node:child_process'
import { join } from 'node:path'

import { root } from '../../bench/support/processes.ts'

/** The property of test/model/ with so many commands, as a run of its own; what it prints tells how to repeat a failure. */
export async function runModel(commands: number): Promise<{ problems: string[] }> {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const child = spawn(process.execPath, [vitest, 'run', '--project', 'integration', 'test/model'], {
    cwd: root,
    env: { ...process.env, MODEL_COMMANDS: String(commands), NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { problems: code === 0 ? [] : [Buffer.concat(chunks).toString()] }
}
