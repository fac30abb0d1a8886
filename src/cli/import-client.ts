import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'

import { UsageError } from './command.ts'

export interface ImportOptions {
  /** Of the running server, without a final slash. */
  url: string
  /** Value of the Authorization header. */
  authorization: string
  update: boolean
  dryRun: boolean
}

/** The members of an import that the command shows. */
export interface ImportStatus {
  id: string
  state: string
  percentage: number
  items_read: number
  created: number
  updated: number
  unchanged: number
  existing: number
  problematic: number
  error: string | null
  error_line: number | null
  error_column: number | null
}

const REFUSAL_WAIT_MS = 1_000
const BOUNDARY = 'souk-import-7c1e3f2a5c9d1b47'

/** Sends the file to `POST /api/imports/` as it is read, however large it is; `onSent` hears how many bytes have left. */
export async function sendFeed(
  path: string,
  options: ImportOptions,
  onSent: (bytes: number, total: number) => void,
): Promise<ImportStatus> {
  const { size } = await stat(path).catch((error: Error) => {
    throw new UsageError(`${path} cannot be read: ${error.message}`)
  })
  const name = basename(path).replaceAll(/["\r\n\\]/g, '_')
  const head = Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`)
  const tail = Buffer.from(`\r\n--${BOUNDARY}--\r\n`)

  async function* body(): AsyncGenerator<Buffer> {
    yield head
    let sent = 0
    // Not past the announced length, should the file be growing.
    for await (const chunk of createReadStream(path, { end: Math.max(0, size - 1) }) as AsyncIterable<Buffer>) {
      yield chunk
      sent += chunk.length
      onSent(sent, size)
    }
    yield tail
  }

  const query = `?mode=${options.update ? 'update' : 'create'}&dry_run=${options.dryRun}`
  const headers = {
    'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
    'content-length': head.length + size + tail.length,
  }
  return call<ImportStatus>('POST', `${options.url}/api/imports/${query}`, options, headers, body)
}

export async function getStatus(id: string, options: ImportOptions): Promise<ImportStatus> {
  return call<ImportStatus>('GET', `${options.url}/api/imports/${id}/`, options, {})
}

/** One request; node:http and not fetch, which gives up when an answer takes longer than five minutes to begin. */
async function call<T>(
  method: string,
  url: string,
  { authorization }: ImportOptions,
  headers: Record<string, string | number>,
  body?: () => AsyncGenerator<Buffer>,
): Promise<T> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest
  const request = send(url, { method, headers: { ...headers, authorization } })
  const response = new Promise<IncomingMessage>((resolve, reject) =>
    request.on('response', resolve).on('error', reject),
  )
  const sending = body === undefined ? Promise.resolve(void request.end()) : pipeline(body, request)
  const answer = await sending
    .then(() => response)
    .catch(async (error: Error) => {
      // The server may have refused before everything was sent; its answer says more than the broken pipe.
      const refusal = await Promise.race([response.catch(() => undefined), wait(REFUSAL_WAIT_MS)])
      if (refusal !== undefined) return refusal
      throw new UsageError(`No Souk can be reached at ${new URL(url).origin}: ${error.message}`)
    })
  return readAnswer<T>(answer)
}

async function readAnswer<T>(response: IncomingMessage): Promise<T> {
  const pieces: Buffer[] = []
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece)
  const text = Buffer.concat(pieces).toString()
  const status = response.statusCode ?? 0
  if (status >= 200 && status < 300) return JSON.parse(text) as T
  throw new UsageError(`The server refused with ${status}: ${problemText(text)}`)
}

function problemText(text: string): string {
  try {
    return (JSON.parse(text) as { detail?: string }).detail ?? text
  } catch {
    return text.slice(0, 200)
  }
}
