import { Type } from 'typebox'

import { defineTopic } from '../../../changes/index.ts'

const uuid = Type.String({ format: 'uuid' })
const HEARD_BY = 'the owner of the bag'

export const bagChanged = defineTopic({
  name: 'orders.bag.changed',
  description: 'A bag was opened, or what is in it was changed.',
  subject: 'bag',
  heardBy: HEARD_BY,
  data: Type.Object({ bag_id: uuid, lines: Type.Integer({ description: 'Different variants in it.' }) }),
})

export const bagCheckedOut = defineTopic({
  name: 'orders.bag.checked-out',
  description: 'An order was made of a bag.',
  subject: 'bag',
  heardBy: HEARD_BY,
  data: Type.Object({ bag_id: uuid, order_id: uuid }),
})

export const bagDiscarded = defineTopic({
  name: 'orders.bag.discarded',
  description: 'A bag was thrown away with what was in it.',
  subject: 'bag',
  heardBy: HEARD_BY,
  data: Type.Object({ bag_id: uuid }),
})

export const bagTopics = [bagChanged, bagCheckedOut, bagDiscarded]
