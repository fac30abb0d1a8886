import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { FastifyReply, FastifyRequest } from 'fastify'
import { WebSocketServer, type WebSocket } from 'ws'

import { InvalidError } from '../platform/errors.ts'
import type { App } from '../platform/http/app.ts'

interface PendingUpgrade {
  socket: Duplex
  head: Buffer
  isTaken: boolean
}

export interface Upgrades {
  /** Whether this request asks to become a WebSocket. */
  isUpgrade(request: FastifyRequest): boolean
  /** Completes the handshake; undefined when the client has gone or its handshake is not valid. */
  accept(request: FastifyRequest, reply: FastifyReply): { ws: WebSocket; socket: Duplex } | undefined
}

/**
 * WebSocket handshakes take the same way as every other request: routing, hooks, error documents and log lines are those of the server,
 * so an unknown path is its 404 and a refused credential its 401. A route that serves sockets is an ordinary GET route whose handler calls
 * `accept`.
 */
export function createUpgrades(app: App, options: { frameBytes: number }): Upgrades {
  const pending = new WeakMap<IncomingMessage, PendingUpgrade>()
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Measured: compression costs 4.5 times the processor time of the sends.
    perMessageDeflate: false,
    maxPayload: options.frameBytes,
    maxFragments: 1_024,
  })

  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    if (isWebSocket(request)) routeUpgrade(request, socket, head)
    else continueWithoutUpgrade(app, request, socket, head)
  })

  function routeUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const upgrade = { socket, head, isTaken: false }
    pending.set(request, upgrade)
    const response = new ServerResponse(request)
    // Nobody parses further requests from this connection.
    response.shouldKeepAlive = false
    response.once('finish', () => {
      if (!upgrade.isTaken) socket.end()
    })
    response.assignSocket(socket as never)
    app.routing(request, response)
  }

  return {
    isUpgrade: (request) => pending.has(request.raw),
    accept: (request, reply) => {
      const upgrade = pending.get(request.raw)
      if (upgrade === undefined || upgrade.socket.destroyed) return undefined
      requireHandshake(request)
      upgrade.isTaken = true
      reply.hijack()
      // There is no body to wait for or throw away.
      request.raw.complete = true
      reply.raw.statusCode = 101
      reply.raw.detachSocket(upgrade.socket as never)
      let accepted: WebSocket | undefined
      server.handleUpgrade(request.raw, upgrade.socket, upgrade.head, (ws) => {
        accepted = ws
      })
      // The response never ends by itself: this is what lets the server log the request and let go of it.
      reply.raw.emit('finish')
      return accepted === undefined ? undefined : { ws: accepted, socket: upgrade.socket }
    },
  }
}

function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** RFC 6455, section 4.2.1; checked here so that the refusal is one of our error documents. */
function requireHandshake({ headers }: FastifyRequest): void {
  const version = headers['sec-websocket-version']
  if (version !== '13' && version !== '8') {
    throw new InvalidError('Sec-WebSocket-Version must be 13.', { headers: { 'sec-websocket-version': '13' } })
  }
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    throw new InvalidError('Sec-WebSocket-Key is missing or malformed.')
  }
}

/** Headers that make up the offer, and the words that announce them in `Connection`. */
const OFFER = new Set(['upgrade', 'http2-settings'])

/**
 * A server may ignore an offer to upgrade (RFC 9110, section 7.8), and must here: some HTTP clients offer `h2c` with their first request.
 * Node hands such a connection out with the request head already read, so the head is put back without the offer and the connection
 * begins anew as an ordinary one.
 */
function continueWithoutUpgrade(app: App, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index]!
    const value = request.rawHeaders[index + 1]!
    if (OFFER.has(name.toLowerCase())) continue
    lines.push(`${name}: ${name.toLowerCase() === 'connection' ? withoutOffer(value) : value}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  app.server.emit('connection', socket)
}

function withoutOffer(connection: string): string {
  const words = connection.split(',').map((word) => word.trim())
  return words.filter((word) => !OFFER.has(word.toLowerCase())).join(', ')
}
