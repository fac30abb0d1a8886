export { defineTopic } from './topic.ts'
export type { AudienceKey, Change, NewChange, Topic } from './topic.ts'
export type { Subscriber } from './subscriber.ts'
export { recordChange } from './record.ts'
