import { InvalidError, PayloadTooLargeError } from '../../../platform/errors.ts'
import type { BodyStream } from '../../../platform/http/read-body.ts'
import { newId } from '../../../platform/ids.ts'
import { checkWellFormed, isFeedError } from '../feed/read-feed.ts'
import { createMultipartParser, MultipartError } from '../multipart.ts'
import type { Spool, SpoolFile } from './spool.ts'
import { createSizeMeter, type SizeMeter } from './unpacked-size.ts'

/** A feed that lies in the spool under `id`, not yet kept. */
export interface ReceivedFeed {
  id: string
  file: SpoolFile
  fileName: string
  isCompressed: boolean
  bytesTotal: number
  /** Whether it is known to be well-formed; one that is compressed, or is not, is looked at again by whoever imports it. */
  isChecked: boolean
  /** Text fields of a multipart body. */
  fields: Readonly<Record<string, string>>
}

/** Bytes of all text fields together; the known ones are single words. */
const MAX_FIELD_BYTES = 4 * 1024
const DEFAULT_NAME = 'feed.xml'
/** What a body may hold beside the feed: boundaries, headers, fields. */
const MAX_OTHER_BYTES = 1024 * 1024

/**
 * Takes the feed out of a request body, a chunk at a time: to disk and through the meter. Whatever goes wrong, nothing stays on the disk.
 */
export async function receiveFeed(
  request: BodyStream | undefined,
  spool: Spool,
  maxBytes: number,
): Promise<ReceivedFeed> {
  if (request === undefined) throw noFile()
  const type = request.headers['content-type'] ?? ''
  const sink = createSink(spool, maxBytes)
  const body = bodyChunks(request, maxBytes + MAX_OTHER_BYTES)
  try {
    const isMultipart = /^multipart\/form-data/i.test(type)
    const { fileName, fields } = isMultipart ? await readMultipart(body, type, sink) : await readRaw(body, sink)
    return { ...(await sink.end()), fileName, fields }
  } catch (error) {
    await sink.discard()
    throw error
  }
}

interface Sink {
  write(chunk: Buffer): Promise<void>
  end(): Promise<Omit<ReceivedFeed, 'fileName' | 'fields'>>
  discard(): Promise<void>
}

function createSink(spool: Spool, maxBytes: number): Sink {
  const id = newId()
  const meter: SizeMeter = createSizeMeter(maxBytes)
  const check = createCheck()
  let file: SpoolFile | undefined
  return {
    write: async (chunk) => {
      file ??= await spool.create(id)
      await meter.write(chunk)
      await check.write(chunk)
      await file.write(chunk)
    },
    end: async () => {
      file ??= await spool.create(id)
      return { id, file, ...(await meter.end()), isChecked: check.end() }
    },
    discard: async () => {
      meter.abort()
      await file?.discard()
    },
  }
}

/**
 * Follows the feed as it arrives, so that importing it need not read it twice. Not inside gzip: there a few bytes sent would cost any amount
 * of work.
 */
function createCheck() {
  const check = checkWellFormed()
  let isSound = true
  const note = (error: unknown): void => {
    if (!isFeedError(error)) throw error
    isSound = false
  }
  return {
    write: async (chunk: Buffer): Promise<void> => {
      if (isSound) await check.write(chunk).catch(note)
    },
    /** Whether the whole document is well-formed. */
    end: (): boolean => {
      try {
        if (isSound) check.end()
      } catch (error) {
        note(error)
      }
      return isSound
    },
  }
}

interface Received {
  fileName: string
  fields: Record<string, string>
}

async function readRaw(body: AsyncIterable<Buffer>, sink: Sink): Promise<Received> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    await sink.write(chunk)
  }
  if (bytes === 0) throw noFile()
  return { fileName: DEFAULT_NAME, fields: {} }
}

async function readMultipart(body: AsyncIterable<Buffer>, type: string, sink: Sink): Promise<Received> {
  const fields: Record<string, string> = Object.create(null) as Record<string, string>
  let fileName: string | undefined
  let target: 'file' | 'field' | 'ignored' = 'ignored'
  let fieldName = ''
  let fieldBytes = 0
  let arrived: Buffer[] = []

  const parser = multipart(() =>
    createMultipartParser(type, {
      part(part) {
        const isFeed = part.name === 'file' && part.fileName !== undefined && fileName === undefined
        target = isFeed ? 'file' : part.fileName === undefined ? 'field' : 'ignored'
        fieldName = part.name ?? ''
        if (isFeed) fileName = part.fileName === '' ? DEFAULT_NAME : part.fileName
        if (target === 'field') fields[fieldName] = ''
      },
      data(bytes) {
        if (target === 'file') arrived.push(bytes)
        if (target !== 'field') return
        fieldBytes += bytes.length
        if (fieldBytes > MAX_FIELD_BYTES) throw new InvalidError('The text fields of the form are too long.')
        fields[fieldName] += bytes.toString('utf8')
      },
    }),
  )
  for await (const chunk of body) {
    multipart(() => parser.write(chunk))
    const pieces = arrived
    arrived = []
    for (const piece of pieces) await sink.write(piece)
  }
  multipart(() => parser.end())
  if (fileName === undefined) throw noFile()
  return { fileName, fields }
}

function multipart<T>(step: () => T): T {
  try {
    return step()
  } catch (error) {
    if (error instanceof MultipartError) throw new InvalidError(error.message)
    throw error
  }
}

/**
 * The body as it arrives. The limit holds for the bytes on the wire too: gzip can be made of any number of them that unpack to nothing, and a
 * form of parts that nobody wants.
 */
async function* bodyChunks(body: BodyStream, maxBytes: number): AsyncGenerator<Buffer> {
  if (Number(body.headers['content-length']) > maxBytes) throw new PayloadTooLargeError()
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new PayloadTooLargeError()
    yield chunk
  }
}

function noFile(): InvalidError {
  return new InvalidError('No file provided')
}
