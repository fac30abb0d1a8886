import type { Topic } from '../src/changes/index.ts'

const introduction = `# Changes

Generated from the topics in the code by \`npm run docs\`; do not edit. How to read the log: \`GET /api/changes/\`, its stream, \`/ws/changes/\`
(OpenAPI document at \`/api/openapi.json\`). The same list is served at \`GET /api/topics/\`.

Every change has a position, an id, a topic, a subject, the actor (or null), a time and the data described here. Objects have no members but those
named. Staff hear everything.
`

/** docs/changes.md: every topic with who hears it and the shape of its data. */
export function changesDoc(all: readonly Topic[]): string {
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
