import { Type } from 'typebox'

import { nullable, timestampSchema, uuidSchema } from '../../../platform/http/schemas.ts'
import { MAX_REPORTED } from './report-queries.ts'

const mode = Type.Union([Type.Literal('create'), Type.Literal('update')])

/** In the query of the request; the same names may be fields of a multipart body. */
export const importQuery = Type.Object({
  mode: Type.Optional(
    Type.Union([Type.Literal('create'), Type.Literal('update')], {
      description: '`create` (default) leaves stored products alone, `update` changes your own.',
    }),
  ),
  dry_run: Type.Optional(Type.Boolean({ description: 'Reads, checks and counts, and stores nothing.' })),
})

const count = (description: string) => Type.Integer({ description })

export const importSchema = Type.Object(
  {
    id: uuidSchema,
    owner_user_id: uuidSchema,
    file_name: Type.String(),
    mode,
    dry_run: Type.Boolean(),
    state: Type.Union([
      Type.Literal('queued'),
      Type.Literal('running'),
      Type.Literal('cancelling'),
      Type.Literal('succeeded'),
      Type.Literal('failed'),
      Type.Literal('cancelled'),
    ]),
    percentage: Type.Integer({ minimum: 0, maximum: 100, description: '100 once it has succeeded.' }),
    bytes_total: count('Size of the unpacked feed.'),
    bytes_checked: count('So far checked for well-formedness; nothing is stored before all is.'),
    bytes_read: count('So far read and stored.'),
    items_read: count('Items read, whatever became of them.'),
    created: count('Products added.'),
    updated: count('Products of yours that were changed (mode `update`).'),
    unchanged: count('Products of yours that were the same already (mode `update`).'),
    existing: count('Items whose id was in the catalogue, or earlier in the same feed.'),
    problematic: count('Items that broke a rule; see the report.'),
    problems: count(`Rules that they broke; the report has the first ${MAX_REPORTED.toLocaleString('en')}.`),
    error: nullable(Type.String({ description: 'Why the import failed.' })),
    error_line: nullable(Type.Integer()),
    error_column: nullable(Type.Integer()),
    requested: timestampSchema,
    started: nullable(timestampSchema),
    finished: nullable(timestampSchema),
  },
  { title: 'Import' },
)

export const pageQuery = Type.Object({
  page_size: Type.Optional(Type.Integer({ minimum: 1, description: 'Default 20, at most 100.' })),
  offset: Type.Optional(Type.String({ format: 'uuid', description: 'The `offset` of the previous page.' })),
})

export const reportQuery = Type.Object({
  page_size: Type.Optional(Type.Integer({ minimum: 1, description: 'Default 100, at most 1000.' })),
  offset: Type.Optional(Type.Integer({ minimum: 0, description: 'The `offset` of the previous page.' })),
})

export const importPage = Type.Object({
  metadata: Type.Object({ page_size: Type.Integer(), offset: nullable(uuidSchema), has_next: Type.Boolean() }),
  data: Type.Array(importSchema),
})

export const reportPage = Type.Object({
  metadata: Type.Object({
    page_size: Type.Integer(),
    offset: nullable(Type.Integer({ description: 'Of the last problem on this page.' })),
    has_next: Type.Boolean(),
  }),
  data: Type.Array(
    Type.Object({
      line: Type.Integer({
        description: 'Of the element in the file, counted from 1; of the item when it is missing.',
      }),
      item: Type.Integer({ description: 'Counted from 1.' }),
      id: nullable(Type.String()),
      element: Type.String({ examples: ['g:price'] }),
      rule: Type.String({ examples: ['not a price'] }),
      value: nullable(Type.String({ description: 'The beginning of the text that broke the rule.' })),
    }),
  ),
})
