import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { stateMachines, topics } from '../src/app.ts'
import { changesDoc } from './changes-doc.ts'
import { stateMachineDocs } from './state-machine-docs.ts'

const folder = join(import.meta.dirname, '../docs')

/** `npm run docs`: writes what is generated of docs/; with `--check` only says whether it is what the code would generate. */
async function main([flag]: string[]): Promise<void> {
  const wanted = new Map([
    ['changes.md', changesDoc(topics)],
    ...[...stateMachineDocs(stateMachines)].map(([name, text]): [string, string] => [`state-machines/${name}`, text]),
  ])
  for (const [name, text] of wanted) {
    if (flag === '--check') await check(name, text)
    else await write(name, text)
  }
}

async function write(name: string, text: string): Promise<void> {
  const file = join(folder, name)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

async function check(name: string, text: string): Promise<void> {
  const found = await readFile(join(folder, name), 'utf8').catch(() => '')
  if (found === text) return
  console.error(`docs/${name} is not what the code says; run \`npm run docs\``)
  process.exitCode = 1
}

await main(process.argv.slice(2))
