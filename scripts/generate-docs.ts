import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { topics } from '../src/app.ts'
import type { Topic } from '../src/changes/index.ts'

const file = join(import.meta.dirname, '../docs/changes.md')

const introduction = `# Changes

Generated from the topics in the code by \`npm run docs\`; do not edit. How to read the log: \`GET /api/changes/\`, its stream, \`/ws/changes/\`
(OpenAPI document at \`/api/openapi.json\`). The same list is served at \`GET /api/topics/\`.

Every change has a position, an id, a topic, a subject, the actor (or null), a time and the data described here. Objects have no members but those
named. Staff hear everything.
`

/** `npm run docs`: writes docs/changes.md; with `--check` only says whether it is what the code would generate. */
async function main([flag]: string[]): Promise<void> {
  const wanted = render(topics)
  if (flag !== '--check') {
    await writeFile(file, wanted)
    return
  }
  const found = await readFile(file, 'utf8').catch(() => '')
  if (found === wanted) return
  console.error('docs/changes.md is not what the topics say; run `npm run docs`')
  process.exitCode = 1
}

function render(all: readonly Topic[]): string {
  const sorted = all.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const table = sorted.map((topic) => `| [\`${topic.name}\`](#${anchor(topic.name)}) | ${topic.description} |`)
  return (
    [
      introduction,
      ['| topic | what has happened |', '| --- | --- |', ...table].join('\n'),
      ...sorted.map(section),
    ].join('\n\n') + '\n'
  )
}

function section(topic: Topic): string {
  const schema = JSON.stringify(topic.data, undefined, 2)
  return [
    `## ${topic.name}`,
    topic.description,
    `Subject: \`${topic.subject}\`. Heard by: ${topic.heardBy}.`,
    `\`\`\`json\n${schema}\n\`\`\``,
  ].join('\n\n')
}

/** As the usual renderers make it from the heading. */
function anchor(name: string): string {
  return name.replaceAll('.', '')
}

await main(process.argv.slice(2))
