import { describe, expect, it } from 'vitest'

import { foldCase } from './fold-case.ts'

const LAST_WITH_CASE = 0x1ffff
const characters = Array.from({ length: LAST_WITH_CASE + 1 }, (_, code) => String.fromCodePoint(code))

describe('a name without case', () => {
  it('is the same in upper case, in lower case and taken apart, whatever its letter, but for the dotless i', () => {
    const differing = characters.filter((letter) => {
      const forms = [letter.toUpperCase(), letter.toLowerCase(), letter.normalize('NFD'), foldCase(letter)]
      return forms.some((form) => foldCase(form) !== foldCase(letter))
    })

    expect(differing).toEqual(['ı'])
  })

  it.each([
    ['ΟΔΟΣ', 'οδος'],
    ['ΝΊΚΟΣ', 'νίκοσ'],
    ['νίκος', 'νίκοσ'],
    ['Σάς', 'ΣΆΣ'],
    ['Straße', 'STRASSE'],
    ['STRAẞE', 'straße'],
    ['ÉCOLE', 'e\u0301cole'],
    ['ſam', 'Sam'],
    ['ﬁn', 'FIN'],
    ['\u00b5', 'Μ'],
    ['İ', 'i\u0307'],
  ])('is the same of %s and %s', (one, other) => {
    expect(foldCase(one)).toBe(foldCase(other))
  })

  it('keeps accents and the dotless i', () => {
    expect(foldCase('Ada')).not.toBe(foldCase('Áda'))
    expect(foldCase('ada')).not.toBe(foldCase('áda'))
    expect(foldCase('ısmail')).not.toBe(foldCase('ismail'))
  })

  it('fits into an index row, whatever somebody may be called', () => {
    const longest = ['שּׁ'.repeat(150), 'İ'.repeat(150), '𝒳'.repeat(150), `${'ß'.repeat(120)}@b.co`]

    expect(Math.max(...longest.map((name) => Buffer.byteLength(foldCase(name))))).toBeLessThan(2_600)
  })
})
