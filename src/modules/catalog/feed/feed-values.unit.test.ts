import { describe, expect, it } from 'vitest'

import { feedFields, type FeedKind } from './feed-item.ts'
import { formatHundredths, readValue } from './feed-values.ts'

function read(kind: FeedKind, text: string) {
  const field = feedFields.find((candidate) => candidate.kind === kind)!
  const result = readValue(text, field)
  return result.ok ? result.value : `problem: ${result.rule}`
}

describe('money', () => {
  it.each([
    ['199.99', 19_999],
    ['.5', 50],
    ['10', 1_000],
    ['10.', 1_000],
    ['0', 0],
    ['100.00 AED', 10_000],
    ['AED 100.00', 10_000],
    ['100.00\t aed', 10_000],
    ['0.005', 1],
    ['0.0049999999999', 0],
    ['1.995', 200],
    ['99999999.99', 9_999_999_999],
    ['99999999.994', 9_999_999_999],
  ])('reads %j as %j', (text, value) => {
    expect(read('money', text)).toBe(value)
  })

  it.each([
    '1,000.00',
    '1.000,00',
    '1_000',
    '1e3',
    '1E3 AED',
    'inf',
    'Infinity',
    'nan',
    '-1',
    '-0.01',
    '+5',
    'ten',
    '.',
    'AED',
    '. AED',
    'AED 1 AED',
    '1 2',
    '$5',
    '5 dollars',
    '٣',
    '0x10',
    'inf 5',
    '5 NaN',
    'AED \n5 USD',
  ])('refuses %j', (text) => {
    expect(read('money', text)).toBe('problem: not a price')
  })

  it.each([
    ['after a code', `AED${' '.repeat(200_000)}x`],
    ['after a number', `1${' '.repeat(200_000)}x`],
    ['between codes', `AED 1${' '.repeat(200_000)}xyz1`],
  ])('refuses a long run of blanks %s in no time', (_where, text) => {
    const start = performance.now()

    expect(read('money', text)).toBe('problem: not a price')
    expect(performance.now() - start).toBeLessThan(500)
  })

  it.each(['123456789', '99999999.995', '100000000 AED'])('refuses %j as too large', (text) => {
    expect(read('money', text)).toBe('problem: more than 8 digits before the point')
  })
})

describe('whole numbers', () => {
  it.each([
    ['5', 5],
    ['-5', -5],
    ['007', 7],
    ['-0', 0],
    ['2147483647', 2_147_483_647],
    ['-2147483648', -2_147_483_648],
  ])('reads %j as %j', (text, value) => {
    expect(read('integer', text)).toBe(value)
  })

  it.each(['5.0', 'many', '1e3', '+1', '1 2', '0x1', '--1', '١'])('refuses %j', (text) => {
    expect(read('integer', text)).toBe('problem: not a whole number')
  })

  it.each(['2147483648', '-2147483649', '9'.repeat(400)])('refuses %j as more than 32 bits', (text) => {
    expect(read('integer', text)).toBe('problem: not a 32-bit whole number')
  })

  it('refuses a negative quantity', () => {
    expect(read('count', '-1')).toBe('problem: negative')
  })
})

describe('percentages', () => {
  it.each([
    ['12.5', '12.50'],
    ['999.99', '999.99'],
    ['0', '0.00'],
    ['-0.001', '0.00'],
    ['-12.345', '-12.35'],
    ['.005', '0.01'],
  ])('reads %j as %j', (text, value) => {
    expect(read('decimal', text)).toBe(value)
  })

  it.each(['1000', '999.995', '1e2', '50%', '.', 'x'])('refuses %j', (text) => {
    expect(read('decimal', text)).toMatch(/^problem/)
  })
})

describe('addresses', () => {
  it.each(['http://a.example', 'https://a.example/x?y=1#z', 'HTTPS://A.example/ä b'])('keeps %j as it is', (text) => {
    expect(read('url', text)).toBe(text)
  })

  it.each([
    'javascript:alert(1)',
    'ftp://a.example',
    '//a.example',
    'a.example',
    'http:a.example',
    'https://',
    'http://a b.example',
    'java\tscript:alert(1)',
    'https://a.example/\nx',
    'data:text/html,x',
  ])('refuses %j as a web address', (text) => {
    expect(read('url', text)).toBe('problem: not an http(s) URL')
  })

  it.each(['ounass://product/1', 'android-app://com.ounass/x', 'https://a.example'])(
    'keeps %j as an app address',
    (text) => {
      expect(read('appUrl', text)).toBe(text)
    },
  )

  it.each([
    'javascript:alert(1)',
    'JavaScript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'java\nscript:x',
    'no scheme',
  ])('refuses %j as an app address', (text) => {
    expect(read('appUrl', text)).toMatch(/^problem/)
  })

  it('counts 500 characters', () => {
    const longest = `https://a.example/${'x'.repeat(482)}`

    expect(read('url', longest)).toBe(longest)
    expect(read('url', `${longest}x`)).toBe('problem: longer than 500 characters')
  })
})

describe('texts', () => {
  it('measures characters, not UTF-16 units', () => {
    expect(read('text', '👗'.repeat(50))).toBe('👗'.repeat(50))
    expect(read('text', '👗'.repeat(51))).toBe('problem: longer than 50 characters')
  })

  it('measures a description after it is cleaned', () => {
    expect(read('html', `<p style="${'x'.repeat(150_000)}">short</p>`)).toBe('<p>short</p>')
    expect(read('html', 'x'.repeat(100_000))).toHaveLength(100_000)
    expect(read('html', 'x'.repeat(100_001))).toBe('problem: longer than 100000 characters')
  })

  it.each([
    ['yes', true],
    ['YES', true],
    ['no', false],
    ['true', false],
  ])('reads adult %j as %j', (text, value) => {
    expect(read('yes', text)).toBe(value)
  })
})

it.each([
  [0, '0.00'],
  [5, '0.05'],
  [19_999, '199.99'],
  [-1_235, '-12.35'],
  [9_999_999_999, '99999999.99'],
])('writes %j hundredths as %j', (hundredths, text) => {
  expect(formatHundredths(hundredths)).toBe(text)
})
