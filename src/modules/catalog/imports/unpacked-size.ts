import { createGunzip, type Gunzip } from 'node:zlib'

import { InvalidError, PayloadTooLargeError } from '../../../platform/errors.ts'

/** Measures a feed while it arrives, and says whether it is compressed. */
export interface SizeMeter {
  /** Throws PayloadTooLargeError as soon as the unpacked content passes the limit, InvalidError when gzip is damaged. */
  write(chunk: Buffer): Promise<void>
  end(): Promise<{ isCompressed: boolean; bytesTotal: number }>
  /** Frees what it holds when the upload is given up. */
  abort(): void
}

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b])

/** gzip is told by its first two bytes, not by what the client says: clients name types by file endings or not at all. */
export function createSizeMeter(maxBytes: number): SizeMeter {
  let head = Buffer.alloc(0)
  let gunzip: UnpackedCounter | undefined
  let plainBytes = 0

  async function measure(chunk: Buffer): Promise<void> {
    if (gunzip !== undefined) return gunzip.write(chunk)
    plainBytes += chunk.length
    if (plainBytes > maxBytes) throw tooLarge(maxBytes)
  }

  async function decide(): Promise<void> {
    if (head.subarray(0, 2).equals(GZIP_MAGIC)) gunzip = new UnpackedCounter(maxBytes)
    const first = head
    head = Buffer.alloc(0)
    await measure(first)
  }

  let isDecided = false
  return {
    write: async (chunk) => {
      if (isDecided) return measure(chunk)
      head = Buffer.concat([head, chunk])
      if (head.length < GZIP_MAGIC.length) return
      isDecided = true
      await decide()
    },
    end: async () => {
      if (!isDecided) await decide()
      const bytesTotal = gunzip === undefined ? plainBytes : await gunzip.end()
      return { isCompressed: gunzip !== undefined, bytesTotal }
    },
    abort: () => gunzip?.abort(),
  }
}

/** Unpacks and counts, keeps nothing. Stops at the limit, so a bomb costs no more time than an honest file of that size. */
class UnpackedCounter {
  private readonly stream: Gunzip = createGunzip()
  private readonly done: Promise<void>
  private failure: Error | undefined
  private bytes = 0

  constructor(maxBytes: number) {
    this.stream.on('data', (unpacked: Buffer) => {
      this.bytes += unpacked.length
      if (this.bytes > maxBytes) this.stream.destroy(tooLarge(maxBytes))
    })
    this.done = new Promise((resolve) => {
      this.stream.on('end', resolve)
      this.stream.on('close', resolve)
      this.stream.on('error', (error) => {
        this.failure = error instanceof PayloadTooLargeError ? error : damaged()
        resolve()
      })
    })
  }

  async write(chunk: Buffer): Promise<void> {
    this.requireNoFailure()
    if (!this.stream.write(chunk)) {
      await Promise.race([new Promise((resolve) => this.stream.once('drain', resolve)), this.done])
    }
    this.requireNoFailure()
  }

  async end(): Promise<number> {
    this.requireNoFailure()
    this.stream.end()
    await this.done
    this.requireNoFailure()
    return this.bytes
  }

  abort(): void {
    this.stream.destroy()
  }

  private requireNoFailure(): void {
    if (this.failure !== undefined) throw this.failure
  }
}

function tooLarge(maxBytes: number): PayloadTooLargeError {
  return new PayloadTooLargeError(`The feed is larger than ${maxBytes} bytes after unpacking.`)
}

function damaged(): InvalidError {
  return InvalidError.fields({ file: ['This is not a complete gzip file.'] })
}
