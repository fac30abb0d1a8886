import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

import { afterEach, describe, expect, inject, it } from 'vitest'

import { checkReachable, explainConnectionError } from './database-url.ts'

let server: Server | undefined

afterEach(() => {
  server?.close()
  server = undefined
})

/** Something on a port of this machine that is no PostgreSQL. */
async function listen(answer: (socket: Socket) => void): Promise<number> {
  server = createServer((socket) => answer(socket.on('error', () => undefined)))
  await new Promise<void>((done) => server!.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

function databaseUrl(change: (url: URL) => void): string {
  const url = new URL(inject('databaseUrl'))
  change(url)
  return url.href
}

function failure(code: string): Error {
  return Object.assign(new Error('failed with s@cret and s%40cret'), { code })
}

describe('checkReachable', () => {
  it('is content with a server that answers', async () => {
    await expect(checkReachable(inject('databaseUrl'))).resolves.toBeUndefined()
  })

  it('says that nothing listens', async () => {
    const port = await listen(() => undefined)
    await new Promise((done) => server!.close(done))

    const checking = checkReachable(`postgres://ana:secret@127.0.0.1:${port}/shop`)

    await expect(checking).rejects.toThrow(`No PostgreSQL answers at 127.0.0.1:${port}: the connection was refused.`)
  })

  it('says that a name with several addresses refuses', async () => {
    const port = await listen(() => undefined)
    await new Promise((done) => server!.close(done))

    const checking = checkReachable(`postgres://ana:secret@localhost:${port}/shop`)

    await expect(checking).rejects.toThrow(`No PostgreSQL answers at localhost:${port}: the connection was refused.`)
  })

  it('says that the socket is missing', async () => {
    const checking = checkReachable('postgres://ana@localhost/shop?host=/nowhere')

    await expect(checking).rejects.toThrow('No PostgreSQL answers at /nowhere: there is no such socket.')
  })

  it('says that the host is unknown', async () => {
    const checking = checkReachable('postgres://ana:secret@no-such-host.invalid/shop')

    await expect(checking).rejects.toThrow('The host of DATABASE_URL is unknown: no-such-host.invalid:5432.')
  })

  it('says that the database is missing', async () => {
    const url = databaseUrl((address) => (address.pathname = '/no_such_database'))

    await expect(checkReachable(url)).rejects.toThrow(/has no database "no_such_database"\. Create it/)
  })

  it('says that whatever answers is no PostgreSQL', async () => {
    const port = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))

    const checking = checkReachable(`postgres://ana:secret@127.0.0.1:${port}/shop`)

    await expect(checking).rejects.toThrow(/Is it really a PostgreSQL server\?/)
  })

  it('says that the server does not speak TLS', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.write('N')))

    const checking = checkReachable(`postgres://ana:secret@127.0.0.1:${port}/shop?sslmode=require`)

    await expect(checking).rejects.toThrow(/does not speak TLS/)
  })
})

describe('explainConnectionError', () => {
  const url = 'postgres://ana:s%40cret@db.example:6000/shop'

  it.each([
    ['28P01', 'PostgreSQL at db.example:6000 refused the password of the user "ana" in DATABASE_URL.'],
    ['28000', /does not let the user "ana" in/],
    ['42501', /does not allow the user "ana" to connect to the database "shop"/],
    ['53300', /has no free connection/],
    ['57P03', /is starting or stopping/],
    ['ETIMEDOUT', /cannot be reached over the network/],
    ['ECONNRESET', /Is it really a PostgreSQL server/],
  ])('has a sentence for %s', (code, sentence) => {
    expect(explainConnectionError(failure(code), url)).toMatch(sentence)
  })

  it.each([
    ['timeout expired', /did not answer in time/],
    [
      'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string',
      /asks for a password, and DATABASE_URL holds none/,
    ],
    ['self-signed certificate', /is not trusted: self-signed certificate/],
  ])('has a sentence for "%s"', (message, sentence) => {
    expect(explainConnectionError(new Error(message), url)).toMatch(sentence)
  })

  it('never shows the password, in neither spelling', () => {
    const sentence = explainConnectionError(failure('XX000'), url)

    expect(sentence).toBe('The database at db.example:6000 cannot be used: failed with [hidden] and [hidden]')
  })

  it('works with an address it cannot read', () => {
    expect(explainConnectionError(failure('ECONNREFUSED'), 'no address')).toMatch(
      /answers at the address in DATABASE_URL/,
    )
  })
})
