import { describe, expect, it } from 'vitest'

import { parseArguments, UsageError } from './command.ts'

function parse(...args: string[]) {
  return parseArguments({
    args,
    allowPositionals: true,
    options: { token: { type: 'string' }, user: { type: 'string' }, update: { type: 'boolean' } },
  })
}

describe('parseArguments', () => {
  it.each([
    [['--token', '-abc', 'a.xml'], { token: '-abc' }],
    [['a.xml', '--token', '--abc'], { token: '--abc' }],
    [['--token=-abc', 'a.xml'], { token: '-abc' }],
    [['--token', '-', 'a.xml', '--update'], { token: '-', update: true }],
    [['--token', 'abc', 'a.xml', '--user', '-a:-b'], { token: 'abc', user: '-a:-b' }],
  ])('takes the value of %j whatever it begins with', (args, expected) => {
    const { values, positionals } = parse(...args)

    expect({ ...values }).toEqual(expected)
    expect(positionals).toEqual(['a.xml'])
  })

  it.each([
    ['another option', ['--token', '--update'], /--token/],
    ['another option with its value', ['--token', '--user=x'], /--token/],
    ['the end of the line', ['a.xml', '--token'], /--token/],
    ['the end of the options', ['--token', '--', 'a.xml'], /--token/],
  ])('misses a value before %s', (_, args, message) => {
    expect(() => parse(...args)).toThrow(UsageError)
    expect(() => parse(...args)).toThrow(message)
  })

  it('takes nothing for the value of an option that has none', () => {
    expect(() => parse('--update', '-x')).toThrow(/-x/)
  })
})
