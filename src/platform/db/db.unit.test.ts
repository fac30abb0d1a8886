import type { EventEmitter } from 'node:events'
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
