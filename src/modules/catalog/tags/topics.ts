import { Type } from 'typebox'

import { defineTopic } from '../../../changes/index.ts'

const heardBy = 'everybody signed in'
const data = Type.Object({ id: Type.String({ format: 'uuid' }), name: Type.String(), description: Type.String() })

export const tagCreated = defineTopic({
  name: 'catalog.tag.created',
  description: 'Staff made a tag.',
  subject: 'tag',
  heardBy,
  data,
})

export const tagChanged = defineTopic({
  name: 'catalog.tag.changed',
  description: 'Staff changed the name or the description of a tag.',
  subject: 'tag',
  heardBy,
  data,
})

export const tagDeleted = defineTopic({
  name: 'catalog.tag.deleted',
  description: 'Staff deleted a tag; no product bears it any more.',
  subject: 'tag',
  heardBy,
  data,
})

export const tagTopics = [tagCreated, tagChanged, tagDeleted]
