import { InvalidError, PayloadTooLargeError } from '../../platform/errors.ts'
import type { BodyStream } from '../../platform/http/read-body.ts'
import { checkWellFormed, isFeedError, type FeedError } from './feed/read-feed.ts'
import { createMultipartParser, MultipartError } from './multipart.ts'
import type { SpoolFile } from './spool.ts'

/** The file of an upload, complete in the spool; `error` when it cannot be a feed. */
export interface ReceivedFile {
  fileName: string
  error: FeedError | undefined
}

/** Bytes of all parts but the file together. */
const MAX_OTHER_BYTES = 1024 * 1024

/**
 * Reads a multipart body to its end, writes the part `file` into the spool and follows it with the well-formedness check on the way. A slow
 * client costs a file and no database connection. Throws InvalidError for a body that is cut off, malformed or has no file, and
 * PayloadTooLargeError as soon as it is too long; what is not read then is left to the server.
 */
export async function receiveUpload(body: BodyStream, spool: SpoolFile, maxBytes: number): Promise<ReceivedFile> {
  if (Number(body.headers['content-length']) > maxBytes) throw new PayloadTooLargeError()
  try {
    return await receiveFile(body, spool, maxBytes)
  } catch (error) {
    if (error instanceof MultipartError) throw new InvalidError(error.message)
    throw error
  }
}

async function receiveFile(body: BodyStream, spool: SpoolFile, maxBytes: number): Promise<ReceivedFile> {
  const collector = collectFile(body.headers['content-type'] ?? '')
  let received = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    received += chunk.length
    if (received > maxBytes) throw new PayloadTooLargeError()
    for (const bytes of await collector.take(chunk)) await spool.write(bytes)
  }
  return collector.end()
}

interface FileCollector {
  /** The pieces of the file in this chunk of the body. */
  take(chunk: Buffer): Promise<Buffer[]>
  end(): Promise<ReceivedFile>
}

function collectFile(contentType: string): FileCollector {
  const check = checkWellFormed()
  let fileName: string | undefined
  let error: FeedError | undefined
  let isFile = false
  let otherBytes = 0
  let pieces: Buffer[] = []

  const parser = createMultipartParser(contentType, {
    part: (part) => {
      // The first file counts. A browser sends an empty name when nothing was picked.
      isFile = fileName === undefined && part.name === 'file' && part.fileName !== undefined && part.fileName !== ''
      if (isFile) fileName = part.fileName
    },
    data: (bytes) => {
      if (!isFile) otherBytes += bytes.length
      if (otherBytes > MAX_OTHER_BYTES) throw new PayloadTooLargeError()
      if (isFile && error === undefined) pieces.push(bytes)
    },
  })

  /** Nothing of a file is kept that cannot be a feed, but it is read on, so that the client hears the reason. */
  async function follow(work: () => void | Promise<void>): Promise<void> {
    try {
      await work()
    } catch (thrown) {
      if (!isFeedError(thrown)) throw thrown
      error ??= thrown
    }
  }

  return {
    async take(chunk) {
      pieces = []
      parser.write(chunk)
      for (const bytes of pieces) if (error === undefined) await follow(() => check.write(bytes))
      return error === undefined ? pieces : []
    },
    async end() {
      parser.end()
      if (fileName === undefined) throw new InvalidError('No file provided')
      if (error === undefined) await follow(() => check.end())
      return { fileName, error }
    },
  }
}
