import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { createMultipartParser, MultipartError, type MultipartPart } from './multipart.ts'

interface ReadPart extends MultipartPart {
  content: string
}

const contentType = 'multipart/form-data; boundary=xYz'

function read(pieces: readonly (string | Buffer)[], type = contentType): ReadPart[] {
  const parts: ReadPart[] = []
  const parser = createMultipartParser(type, {
    part: (part) => parts.push({ ...part, content: '' }),
    data: (bytes) => (parts.at(-1)!.content += bytes.toString('latin1')),
  })
  for (const piece of pieces) parser.write(Buffer.from(piece as string, 'latin1'))
  parser.end()
  return parts
}

function part(name: string, content: string, fileName?: string): string {
  const file = fileName === undefined ? '' : `; filename="${fileName}"`
  return `--xYz\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n${content}\r\n`
}

describe('a multipart parser', () => {
  it('reads fields and files', () => {
    const parts = read([part('note', 'hello'), part('file', '<rss/>', 'feed.xml'), '--xYz--\r\n'])

    expect(parts).toEqual([
      { name: 'note', fileName: undefined, content: 'hello' },
      { name: 'file', fileName: 'feed.xml', content: '<rss/>' },
    ])
  })

  it('reads the same whatever the pieces are and whatever the content is', () => {
    const piece = fc.oneof(
      fc.constantFrom('\r', '\n', '\r\n', '-', '--', '--xY', '\r\n--xY', '\r\n--', 'xYz'),
      fc.string({ unit: 'binary-ascii', maxLength: 5 }),
    )
    const content = fc.array(piece).map((texts) => texts.join('').replaceAll('\r\n--xYz', ''))

    fc.assert(
      fc.property(
        fc.array(content, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        (contents, sizes) => {
          const clean = contents.map((text) => (text.startsWith('--xYz') ? text.slice(1) : text))
          const whole = `ignored\r\n${clean.map((text) => part('f', text)).join('')}--xYz-- ignored`
          const pieces: string[] = []
          for (let at = 0; at < whole.length; at += pieces.at(-1)!.length) {
            pieces.push(whole.slice(at, at + sizes.next().value!))
          }

          expect(read(pieces).map((found) => found.content)).toEqual(clean)
        },
      ),
    )
  })

  it.each([
    ['filename="C:\\dir\\feed.xml"', 'feed.xml'],
    ['filename="../../etc/passwd"', 'passwd'],
    ['filename="a\\"b.xml"', 'a"b.xml'],
    ['filename=plain.xml', 'plain.xml'],
    ['filename="x"; filename*=UTF-8\'\'na%C3%AFve.xml', 'naïve.xml'],
    ['filename="x"; filename*=UTF-8\'\'%ff', 'x'],
    ['filename=""', ''],
    ['filename="a\u0000b\u0007.xml"', 'ab.xml'],
    [`filename="${'n'.repeat(300)}"`, 'n'.repeat(255)],
  ])('reads the file name of %s', (parameter, expected) => {
    const body = `--xYz\r\ncontent-disposition: form-data; name="file"; ${parameter}\r\n\r\nx\r\n--xYz--`

    expect(read([body])[0]!.fileName).toBe(expected)
  })

  it.each([
    ['nothing', ''],
    ['no boundary at all', 'hello'],
    ['no closing boundary', part('file', 'x', 'f')],
    ['a cut header', '--xYz\r\nContent-Disposition: form-'],
    ['headers without end', `--xYz\r\nA: ${'b'.repeat(20_000)}`],
    ['text after a boundary', '--xYzzz\r\n\r\n\r\n--xYz--'],
    ['one dash after a boundary', '--xYz-\r\n\r\n\r\n--xYz--'],
    ['blanks without end after a boundary', `--xYz${' '.repeat(1_000)}`],
    ['too many parts', `${part('a', 'b').repeat(101)}--xYz--`],
  ])('refuses %s', (_what, body) => {
    expect(() => read([body])).toThrow(MultipartError)
  })

  it.each(['multipart/form-data', 'multipart/form-data; boundary=', `multipart/form-data; boundary=${'b'.repeat(71)}`])(
    'refuses the content type %s',
    (type) => {
      expect(() => read([], type)).toThrow('names no boundary')
    },
  )

  it('holds no more than a boundary of a large content', () => {
    let received = 0
    const parser = createMultipartParser(contentType, {
      part: () => undefined,
      data: (bytes) => (received += bytes.length),
    })
    parser.write(Buffer.from('--xYz\r\n\r\n'))

    for (let n = 0; n < 100; n++) parser.write(Buffer.alloc(64 * 1024, 0x0d))

    expect(received).toBeGreaterThan(100 * 64 * 1024 - 10)
  })
})
