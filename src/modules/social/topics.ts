import { Type } from 'typebox'

import { defineTopic } from '../../changes/index.ts'

const uuid = Type.String({ format: 'uuid' })
const aFollow = { follower_id: uuid, followed_id: uuid }

export const followCreated = defineTopic({
  name: 'social.follow.created',
  description: 'A user began to follow another.',
  subject: 'follow',
  heardBy: 'both users',
  data: Type.Object(aFollow),
})

export const followRemoved = defineTopic({
  name: 'social.follow.removed',
  description: 'A user no longer follows another.',
  subject: 'follow',
  heardBy: 'both users',
  data: Type.Object(aFollow),
})

export const followsEnded = defineTopic({
  name: 'social.follows.ended',
  description: 'A user was deleted and follows nobody any more, nor is followed.',
  subject: 'user',
  heardBy: 'those who followed the user or were followed',
  data: Type.Object({ user_id: uuid }),
})

export const topics = [followCreated, followRemoved, followsEnded]
