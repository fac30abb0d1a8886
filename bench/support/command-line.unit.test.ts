import { describe, expect, it } from 'vitest'

import { readCount, readNames } from './command-line.ts'

describe('names', () => {
  it('are those of the list, or not given', () => {
    expect(readNames('http,feed', ['start', 'http', 'feed'])).toEqual(['http', 'feed'])
    expect(readNames(undefined, ['http'])).toBeUndefined()
  })

  it.each(['feet', 'http,feet', '', 'http,'])('refuse %j', (text) => {
    expect(() => readNames(text, ['http', 'feed'])).toThrow(/^There is no "(feet)?"\.$/)
  })
})

describe('counts', () => {
  it('are whole numbers', () => {
    expect(readCount('--sizes', '1000')).toBe(1000)
  })

  it.each(['', '0', '-1', '1.5', '1e3', '0x10', 'many', ' 1', '9'.repeat(20)])('refuse %j', (text) => {
    expect(() => readCount('--sizes', text)).toThrow('--sizes takes whole numbers of 1 or more')
  })
})
