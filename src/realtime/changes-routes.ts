import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'

import type { Topic } from '../changes/index.ts'
import { UnauthenticatedError, UnavailableError } from '../platform/errors.ts'
import type { App } from '../platform/http/app.ts'
import { ChangesStream } from './changes-stream.ts'
import type { Hub } from './hub.ts'
import { takeWaitingPlace, type ReadChanges } from './read-changes.ts'
import { readLogQuery } from './read-query.ts'
import { changesPage, changesQuery, goneProblem, streamQuery, topicList } from './schemas.ts'

const tags = ['Live']

export function registerChangesRoutes(app: App, hub: Hub, readChanges: ReadChanges, topics: readonly Topic[]): void {
  app.get(
    '/api/changes/',
    {
      schema: {
        tags,
        summary: 'Read the change log',
        operationId: 'listChanges',
        description:
          'What follows a position, or the last changes. With `wait` the answer is held until there is something.',
        querystring: changesQuery,
        response: { 200: changesPage, 410: goneProblem },
      },
    },
    async (request, reply) => {
      const { limit, wait } = request.query
      const query = { ...readLogQuery(request.query), caller: request.caller, limit, waitMs: wait * 1_000 }
      const checkedSince = performance.now() - reply.elapsedTime
      const giveBack = wait > 0 ? takeWaitingPlace(hub, request.caller.userId) : undefined
      try {
        return await readChanges({ ...query, checkedSince, signal: abandoned(reply) })
      } finally {
        giveBack?.()
      }
    },
  )

  app.get(
    '/api/changes/stream/',
    {
      schema: {
        tags,
        summary: 'Follow the change log as server-sent events',
        operationId: 'streamChanges',
        description:
          'Each change is an event named after its topic with the id `<epoch>:<position>`; `Last-Event-ID` resumes after it and wins over `since`. `gap` says that changes are missing, `caught-up` that everything missed has been sent.',
        querystring: streamQuery,
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ description: '`<epoch>:<position>`' })) }),
        response: {
          200: {
            description: 'The stream; it ends when the credential does.',
            content: { 'text/event-stream': { schema: Type.String() } },
          },
        },
      },
      config: { postman: { skip: true } },
    },
    async (request, reply) => {
      openStream(hub, request, reply)
      return reply
    },
  )

  const listed = topics.map(({ name, description, subject, heardBy, data }) => ({
    topic: name,
    description,
    subject,
    heard_by: heardBy,
    schema: data,
  }))
  app.get(
    '/api/topics/',
    {
      schema: {
        tags,
        summary: 'List the topics of the change log',
        operationId: 'listTopics',
        response: { 200: topicList },
      },
      config: { access: 'open', needsDatabase: false },
    },
    async () => ({ topics: listed }),
  )
}

/** Aborted when the client has gone before it was answered. */
function abandoned(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => controller.abort())
  return controller.signal
}

type StreamQuery = { since?: number; epoch?: string; topics?: string }

function openStream(hub: Hub, request: FastifyRequest<{ Querystring: StreamQuery }>, reply: FastifyReply): void {
  const lastEventId = request.headers['last-event-id']
  const { from, patterns } = readLogQuery(
    request.query,
    typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : undefined,
  )
  reply.type('text/event-stream; charset=utf-8').header('cache-control', 'no-store').header('x-accel-buffering', 'no')
  if (request.method === 'HEAD') {
    reply.send('')
    return
  }
  takeWaitingPlace(hub, request.caller.userId)
  const stream = new ChangesStream(hub, request.caller, patterns)
  const checkedSince = performance.now() - reply.elapsedTime
  if (!hub.addStream(stream, checkedSince)) {
    stream.body.destroy()
    throw hub.isStopping ? new UnavailableError('The server is shutting down.', 1) : new UnauthenticatedError()
  }
  void stream.run(from)
  reply.send(stream.body)
}
