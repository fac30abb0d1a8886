/** The body is not the multipart/form-data it says it is. */
export class MultipartError extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'MultipartError'
  }
}

export interface MultipartPart {
  /** The name of the form field; undefined when the part does not say. */
  name: string | undefined
  /** Without any path; undefined for a text field, empty when a file field was left empty. */
  fileName: string | undefined
}

export interface MultipartHandlers {
  part(part: MultipartPart): void
  /** Content of the last part that was announced; only valid until the handler returns. */
  data(bytes: Buffer): void
}

export interface MultipartParser {
  /** Throws MultipartError. */
  write(chunk: Buffer): void
  /** Throws MultipartError when the closing boundary never came. */
  end(): void
}

const MAX_PARTS = 100
const MAX_HEADER_BYTES = 16 * 1024
/** Blanks that RFC 2046, section 5.1.1, allows between a boundary and the end of its line. */
const MAX_PADDING = 128
const LINE_END = Buffer.from('\r\n')
const DASH = 0x2d

/** Parser of one multipart/form-data body (RFC 7578), fed with whatever pieces arrive; it keeps at most the headers of one part. */
export function createMultipartParser(contentType: string, handlers: MultipartHandlers): MultipartParser {
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`, 'latin1')
  let state: 'preamble' | 'boundary' | 'headers' | 'content' | 'epilogue' = 'preamble'
  let parts = 0
  // A boundary at the very start has no line end before it; this one stands in.
  let held: Buffer = LINE_END
  // Bytes of the empty line after the headers that are still to come: of a part without content they begin the boundary.
  let emptyLine = 0

  /** Everything up to the next boundary; returns where the parser goes on, or undefined when more bytes are needed. */
  function readContent(bytes: Buffer, at: number): number | undefined {
    const found = bytes.indexOf(delimiter, at)
    const end = found === -1 ? Math.max(at, bytes.length - delimiter.length + 1) : found
    if (state === 'content') announce(bytes.subarray(at, end))
    if (found === -1) {
      held = bytes.subarray(end)
      return undefined
    }
    state = 'boundary'
    return found + delimiter.length
  }

  function announce(bytes: Buffer): void {
    const content = bytes.subarray(emptyLine)
    emptyLine -= bytes.length - content.length
    if (content.length > 0) handlers.data(content)
  }

  function readBoundary(bytes: Buffer, at: number): number | undefined {
    if (bytes.length - at >= 2 && bytes[at] === DASH && bytes[at + 1] === DASH) {
      state = 'epilogue'
      return bytes.length
    }
    const lineEnd = bytes.indexOf(LINE_END, at)
    const rest = bytes.subarray(at, lineEnd === -1 ? bytes.length : lineEnd).toString('latin1')
    if (!/^[ \t]*(-|\r)?$/.test(rest) || rest.length > MAX_PADDING) throw new MultipartError('A boundary is malformed.')
    if (lineEnd === -1) return hold(bytes, at)
    if (/[-\r]/.test(rest)) throw new MultipartError('A boundary is malformed.')
    state = 'headers'
    return lineEnd
  }

  /** From the line end of the boundary, so that a part without headers ends like any other. */
  function readHeaders(bytes: Buffer, at: number): number | undefined {
    const end = bytes.indexOf('\r\n\r\n', at)
    if ((end === -1 ? bytes.length : end) - at > MAX_HEADER_BYTES) {
      throw new MultipartError('The headers of a part are too long.')
    }
    if (end === -1) return hold(bytes, at)
    parts += 1
    if (parts > MAX_PARTS) throw new MultipartError(`The body has more than ${MAX_PARTS} parts.`)
    handlers.part(readPart(bytes.subarray(at, end).toString('utf8')))
    state = 'content'
    emptyLine = LINE_END.length
    return end + LINE_END.length
  }

  function hold(bytes: Buffer, at: number): undefined {
    held = bytes.subarray(at)
    return undefined
  }

  function step(bytes: Buffer, at: number): number | undefined {
    if (state === 'boundary') return readBoundary(bytes, at)
    return state === 'headers' ? readHeaders(bytes, at) : readContent(bytes, at)
  }

  return {
    write(chunk) {
      if (state === 'epilogue') return
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      held = Buffer.alloc(0)
      let at: number | undefined = 0
      while (at !== undefined && at < bytes.length) at = step(bytes, at)
    },
    end() {
      if (state !== 'epilogue') throw new MultipartError('The multipart body ends before its closing boundary.')
    },
  }
}

/** At most 70 characters (RFC 2046, section 5.1.1). */
function boundaryOf(contentType: string): string {
  const match = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;",]{1,70}))\s*(?:;|$)/i.exec(contentType)
  const boundary = match?.[1] ?? match?.[2]
  if (boundary === undefined) throw new MultipartError('The Content-Type names no boundary.')
  return boundary
}

function readPart(headers: string): MultipartPart {
  const line = headers.split('\r\n').find((header) => /^content-disposition:/i.test(header)) ?? ''
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, plain] of line.matchAll(/;\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/g)) {
    const value = quoted === undefined ? (plain ?? '') : quoted.replace(/\\(["\\])/g, '$1')
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value)
  }
  const fileName = extendedValue(parameters.get('filename*')) ?? parameters.get('filename')
  return {
    name: parameters.get('name'),
    fileName: fileName === undefined ? undefined : cleanFileName(fileName),
  }
}

/** `UTF-8''na%C3%AFve.xml` (RFC 8187); forbidden in forms by RFC 7578, and sent by some libraries all the same. */
function extendedValue(value: string | undefined): string | undefined {
  const encoded = /^utf-8'[^']*'(.*)$/i.exec(value ?? '')?.[1]
  if (encoded === undefined) return undefined
  try {
    return decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}

const MAX_FILE_NAME = 255

/** What a person sees in a mail: no path, no control characters. */
function cleanFileName(name: string): string {
  const base = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
  const visible = base.replaceAll(/\p{Cc}/gu, '').trim()
  return Array.from(visible).slice(0, MAX_FILE_NAME).join('').toWellFormed()
}
