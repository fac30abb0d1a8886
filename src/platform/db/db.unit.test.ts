import { once, type EventEmitter } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

import { pino } from 'pino'
import { expect, test } from 'vitest'

import { createDb } from './db.ts'

test('tells of a lost connection while it is open, and not of those that end because it closes', async () => {
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  const db = createDb({ url: 'postgres://souk@127.0.0.1:1/souk', poolSize: 2, applicationName: 'test', log })
  const pool = db.origin as EventEmitter

  pool.emit('error', new Error('lost while open'))
  const closing = db.close()
  pool.emit('error', new Error('lost while closing'))
  await closing

  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('lost while open')
})

test('survives a server that ends in the same breath in which it says that a connection is ready', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).once('data', () => socket.end(Buffer.concat([READY, ENDING])))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `postgres://souk@127.0.0.1:${(server.address() as AddressInfo).port}/souk`
  const db = createDb({ url, poolSize: 2, applicationName: 'test', log: pino({ level: 'silent' }) })

  // Unheard, the error of the connection would be an uncaught one and end this process.
  const client = await db.connect('test')
  await new Promise((resolve) => client.once('end', () => resolve(undefined)))

  await expect(client.query('SELECT 1')).rejects.toThrow('not queryable')
  await db.close()
  server.close()
})

function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), length, body])
}

/** AuthenticationOk and ReadyForQuery, and the FATAL error of a backend whose server is shut down. */
const READY = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))])
const ENDING = message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0'))
