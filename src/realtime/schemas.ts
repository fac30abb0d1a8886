import { Type } from 'typebox'

import { nullable, problemWith, timestampSchema, uuidSchema } from '../platform/http/schemas.ts'

const position = Type.Integer({
  description: 'A place in the log; means nothing under another epoch.',
  examples: [48213],
})
const epoch = Type.String({ description: 'Which log the positions belong to.', examples: ['k3v9q2'] })
const oldest = Type.Integer({ description: 'The first position the log still keeps.' })

const changeSchema = Type.Object(
  {
    position,
    epoch,
    id: uuidSchema,
    topic: Type.String({ examples: ['catalog.product.created'] }),
    subject: Type.Object({ type: Type.String(), id: Type.String() }),
    data: Type.Unknown({ description: 'Its shape is listed per topic at `/api/topics/`.' }),
    actor: nullable(uuidSchema),
    time: timestampSchema,
  },
  { description: 'A committed change in its place in the log.' },
)

export const streamQuery = Type.Object({
  since: Type.Optional(
    Type.Integer({ minimum: 0, description: 'The last position that was read. Absent: from now on.' }),
  ),
  epoch: Type.Optional(Type.String({ description: 'The epoch of `since`; required with it.' })),
  topics: Type.Optional(
    Type.String({
      description:
        'Comma-separated topics, or their beginnings with a final `*`; absent: all. Only the syntax is checked: a topic this server does not have brings nothing.',
      examples: ['catalog.product.*,orders.order.accepted'],
    }),
  ),
})

export const changesQuery = Type.Object({
  ...streamQuery.properties,
  since: Type.Optional(
    Type.Integer({ minimum: 0, description: 'The last position that was read. Absent: the last `limit` changes.' }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: 500, default: 100 }),
  wait: Type.Number({ minimum: 0, maximum: 30, default: 0, description: 'Seconds to wait for something to answer.' }),
})

export const changesPage = Type.Object(
  { epoch, position, oldest, changes: Type.Array(changeSchema) },
  { description: 'The changes in order, and how far the caller has now read.' },
)

export const goneProblem = problemWith(
  { oldest, position, epoch },
  'The log does not reach back to `since`, or it is another log by now. Fetch the state afresh and read on from `position`.',
)

export const topicList = Type.Object({
  topics: Type.Array(
    Type.Object({
      topic: Type.String({ examples: ['catalog.product.created'] }),
      description: Type.String(),
      subject: Type.String({ description: 'The noun of `subject.type`.' }),
      heard_by: Type.String({ description: 'Who hears it.' }),
      schema: Type.Unknown({ description: 'JSON Schema of `data`.' }),
    }),
  ),
})
