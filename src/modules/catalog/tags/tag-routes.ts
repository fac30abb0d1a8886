import { Type, type Static } from 'typebox'

import type { App } from '../../../platform/http/app.ts'
import { pageQuery, pageSchema, presentPage, readPageRequest } from '../../../platform/http/paging.ts'
import { uuidParam } from '../../../platform/http/schemas.ts'
import { tagSchema } from '../products/schemas.ts'
import { searchTermSchema } from '../search/schemas.ts'
import type { TagRow } from './tag-queries.ts'
import { changeTag, createTag, deleteTag, getTag, listTags } from './tags.ts'

const tags = ['Tags']
const DEFAULT_PAGE_SIZE = 50

const text = (maxLength: number, example: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: String.raw`\S`,
    description: `1 to ${maxLength} characters, not all blanks.`,
    examples: [example],
    'x-messages': { pattern: 'This field may not be blank.' },
  })
const fields = {
  name: text(50, 'Linen'),
  description: text(200, 'Made of linen.'),
}
const tagBody = Type.Object(fields)
const tagPatchBody = Type.Partial(tagBody)

/** Tags: completed by everybody, made by staff (store contract, section 2). */
export function registerTagRoutes(app: App): void {
  readRoutes(app)
  changeRoutes(app)
}

function readRoutes(app: App): void {
  app.get(
    '/api/tags/',
    {
      config: { postman: { query: { prefix: 'li' } } },
      schema: {
        tags,
        summary: 'List tags, oldest first, or complete the name of one',
        operationId: 'listTags',
        querystring: Type.Object({
          ...pageQuery,
          search_term: searchTermSchema('The name contains it, without case and accents.'),
          prefix: searchTermSchema('The name begins with it, without case and accents.'),
        }),
        response: { 200: pageSchema(tagSchema) },
      },
    },
    async ({ query }) => {
      const page = readPageRequest(query, DEFAULT_PAGE_SIZE)
      const { search_term: searchTerm = '', prefix = '' } = query
      return presentPage(page, await listTags(app.db, { searchTerm, prefix }, page), presentTag)
    },
  )

  app.get(
    '/api/tags/:id/',
    {
      schema: {
        tags,
        summary: 'Show a tag',
        operationId: 'getTag',
        params: uuidParam,
        response: { 200: tagSchema },
      },
    },
    async ({ params }) => presentTag(await getTag(app.db, params.id)),
  )
}

function changeRoutes(app: App): void {
  // The user of the Postman collection is no member of staff.
  const config = { access: 'staff', postman: { expect: 403 } } as const

  app.post(
    '/api/tags/',
    {
      config,
      schema: { tags, summary: 'Make a tag', operationId: 'createTag', body: tagBody, response: { 201: tagSchema } },
    },
    async ({ caller, body }, reply) => {
      const tag = await app.db.transaction((tx) => createTag(tx, caller.userId, body, app.clock.now()))
      return reply.code(201).header('location', `/api/tags/${tag.id}/`).send(presentTag(tag))
    },
  )

  app.put(
    '/api/tags/:id/',
    {
      config,
      schema: {
        tags,
        summary: 'Replace name and description of a tag',
        operationId: 'replaceTag',
        params: uuidParam,
        body: tagBody,
        response: { 200: tagSchema },
      },
    },
    async ({ caller, params, body }) =>
      presentTag(await app.db.transaction((tx) => changeTag(tx, caller.userId, params.id, body, app.clock.now()))),
  )

  app.patch(
    '/api/tags/:id/',
    {
      config,
      schema: {
        tags,
        summary: 'Change name or description of a tag',
        operationId: 'updateTag',
        params: uuidParam,
        body: tagPatchBody,
        response: { 200: tagSchema },
      },
    },
    async ({ caller, params, body }) =>
      presentTag(await app.db.transaction((tx) => changeTag(tx, caller.userId, params.id, body, app.clock.now()))),
  )

  app.delete(
    '/api/tags/:id/',
    {
      config,
      schema: {
        tags,
        summary: 'Delete a tag',
        operationId: 'deleteTag',
        params: uuidParam,
        response: { 204: Type.Null() },
      },
    },
    async ({ caller, params }, reply) => {
      await app.db.transaction((tx) => deleteTag(tx, caller.userId, params.id, app.clock.now()))
      return reply.code(204).send(null)
    },
  )
}

function presentTag({ id, name, description }: TagRow): Static<typeof tagSchema> {
  return { id, name, description }
}
