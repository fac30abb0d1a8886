import { SaxesParser, type SaxesTagNS } from 'saxes'

import { createXmlDecoder, DecodeError, type XmlDecoder } from './decode-xml.ts'
import { FeedError } from './feed-error.ts'

/**
 * Bytes handed to the parser at once. The bounds below are looked at between two slices, so they hold give or take one; whether something is
 * refused may depend on where it lies in the file, but only far beyond anything a feed contains.
 */
const SLICE_BYTES = 16 * 1024
const MAX_DEPTH = 256
/** Per element, namespace declarations included. */
const MAX_ATTRIBUTES = 1_000
const MAX_ATTRIBUTE_CHARACTERS = 64 * 1024
/** Names of elements, attributes, entities and processing instructions. */
const MAX_NAME_CHARACTERS = 1_000

export interface XmlHandlers {
  open(tag: SaxesTagNS, line: number): void
  /** Character data and CDATA; one run of text may come in several calls. */
  text(text: string): void
  close(): void
}

export interface XmlReader {
  /** Throws FeedError at the first fault. */
  write(bytes: Buffer): void
  /** Throws FeedError when the document is not complete. */
  end(): void
}

/**
 * What saxes keeps between two chunks and offers no handler for. It would collect a text of a gigabyte, or a DOCTYPE, before saying a word;
 * the reader looks here after every slice. A test fails when saxes names these differently.
 */
interface ParserInternals {
  text: string
  name: string
  entity: string
  piTarget: string
  attribList: unknown[]
  state: number
  entityReturnState: number | undefined
  stateTable: (() => void)[]
}

/** A streaming XML parser with namespaces that holds little: text passes through, comments are dropped, the rest is bounded. */
export function createXmlReader(handlers?: XmlHandlers): XmlReader {
  const decoder = createXmlDecoder()
  const parser = new SaxesParser({ xmlns: true, defaultXMLVersion: '1.0', forceXMLVersion: true })
  const refuse = (reason: string): never => {
    throw new FeedError(reason, parser.line, parser.column)
  }
  watchStructure(parser, decoder, handlers, refuse)
  const settle = pendingGuard(parser, handlers, refuse)
  let bytesSeen = 0

  function feed(decode: () => string): void {
    try {
      parser.write(decode())
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      parser.write(error.validText)
      refuse(error.reason)
    }
    settle()
  }

  return {
    write(bytes) {
      bytesSeen += bytes.length
      for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
        feed(() => decoder.decode(bytes.subarray(at, at + SLICE_BYTES)))
      }
    },
    end() {
      if (bytesSeen === 0) throw new FeedError('the file is empty', 1, 1)
      feed(() => decoder.end())
      parser.close()
    },
  }
}

type Parser = SaxesParser<{ xmlns: true }>
type Refuse = (reason: string) => never

/**
 * saxes keeps each handler in a property of a computed name. With more than these five V8 makes a dictionary of the parser and parsing is
 * five times slower, so what other handlers could tell is read elsewhere.
 */
function watchStructure(parser: Parser, decoder: XmlDecoder, handlers: XmlHandlers | undefined, refuse: Refuse): void {
  let depth = 0
  parser.on('error', (error) => refuse(error.message.replace(/^\d+:\d+: /, '').replace(/\.$/, '')))
  parser.on('opentag', (tag) => {
    depth += 1
    if (depth === 1) requireDeclaredEncoding(parser, decoder, refuse)
    if (depth > MAX_DEPTH) refuse(`elements are nested more than ${MAX_DEPTH} deep`)
    handlers?.open(tag, parser.line)
  })
  parser.on('closetag', () => {
    depth -= 1
    handlers?.close()
  })
  if (handlers === undefined) return
  parser.on('text', (text) => handlers.text(text))
  parser.on('cdata', (text) => handlers.text(text))
}

function requireDeclaredEncoding(parser: Parser, decoder: XmlDecoder, refuse: Refuse): void {
  const declared = parser.xmlDecl.encoding
  if (declared === undefined || decoder.agreesWith(declared)) return
  refuse(`the file declares the encoding ${declared} but is in another one`)
}

/** Refuses a DOCTYPE at its first character, and returns the check that runs after each slice. */
function pendingGuard(parser: object, handlers: XmlHandlers | undefined, refuse: Refuse): () => void {
  const inside = parser as ParserInternals
  const state = (name: string) => stateNumber(inside, name)
  inside.stateTable[state('sDoctype')] = () => refuse('a DOCTYPE is not allowed')
  const textState = state('sText')
  const entityState = state('sEntity')
  const characterData = new Set([textState, state('sCData'), state('sCDataEnding'), state('sCDataEnding2')])
  const dropped = new Set(['sComment', 'sCommentEnding', 'sCommentEnded', 'sPIBody', 'sPIEnding'].map(state))

  return () => {
    if (inside.name.length > MAX_NAME_CHARACTERS || inside.piTarget.length > MAX_NAME_CHARACTERS)
      refuse('a name is too long')
    if (inside.entity.length > MAX_NAME_CHARACTERS) refuse('the name of an entity is too long')
    if (inside.attribList.length > MAX_ATTRIBUTES) refuse(`an element has more than ${MAX_ATTRIBUTES} attributes`)
    if (inside.text.length === 0) return
    const current = inside.state === entityState ? inside.entityReturnState : inside.state
    if (current !== undefined && characterData.has(current)) {
      handlers?.text(inside.text)
      inside.text = ''
    } else if (current !== undefined && dropped.has(current)) {
      inside.text = ''
    } else if (inside.text.length > MAX_ATTRIBUTE_CHARACTERS) {
      refuse('an attribute is too long')
    }
  }
}

function stateNumber(inside: ParserInternals, method: string): number {
  const found = inside.stateTable.indexOf((inside as unknown as Record<string, () => void>)[method]!)
  if (found === -1) throw new Error(`saxes has no state ${method}: the guard does not fit this version`)
  return found
}
