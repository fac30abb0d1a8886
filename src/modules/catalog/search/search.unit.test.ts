import { describe, expect, it } from 'vitest'

import { wordsOfTerm } from './candidate-words.ts'
import { fold } from './fold.ts'
import { editDistance } from './similar-words.ts'
import { trigramKey } from './trigrams.ts'

describe('fold', () => {
  it.each([
    ['Crème BRÛLÉE', 'creme brulee'],
    ['Große STRASSE GROẞE', 'grosse strasse grosse'],
    ['ΟΔΟΣ οδος ὁδός', 'οδοσ οδοσ οδοσ'],
    ['İstanbul ISPARTA ısparta', 'istanbul isparta isparta'],
    ['Łódź Æsir Smørrebrød', 'lodz aesir smorrebrod'],
    ['ﬁne ＷＩＤＥ ½', 'fine wide 1⁄2'],
    ['قَلَم', 'قلم'],
    ['がか', 'か\u3099か'],
    ['a\uffffb', 'a\ufffdb'],
    ['plain', 'plain'],
  ])('of %s is %s', (text, folded) => {
    expect(fold(text)).toBe(folded)
  })

  it('of a folded text is the same text', () => {
    expect(fold(fold('Große Æ ΟΔΟΣ が'))).toBe(fold('Große Æ ΟΔΟΣ が'))
  })
})

describe('the words that a term asks for', () => {
  const patternsOf = (term: string) => wordsOfTerm(term).patterns.map(({ pattern }) => pattern)

  it.each([
    ['a part of one word', 'shir', ['%shir%'], []],
    ['the end of one and the beginning of the next', 'nen shi', ['%nen', 'shi%'], []],
    ['whole words in between', 'nen shirt by han', ['%nen', 'han%'], ['shirt', 'by']],
    ['a whole word between blanks', ' shirt ', [], ['shirt']],
    ['nothing of what has no trigram', 'ab c', [], []],
    ['a part of what is too long', 'a'.repeat(40), [`%${'a'.repeat(32)}%`], []],
    [
      'its end and its beginning',
      `${'a'.repeat(40)} ${'b'.repeat(40)}`,
      [`%${'a'.repeat(32)}`, `${'b'.repeat(32)}%`],
      [],
    ],
    ['two letters of another script', '手机', ['%手机%'], []],
    ['no word', '%_ \\', [], []],
  ])('are %s', (_what, term, patterns, exact) => {
    expect(patternsOf(term)).toEqual(patterns)
    expect(wordsOfTerm(term).exact).toEqual(exact)
  })
})

describe('the trigram key', () => {
  it('spells what is not ASCII', () => {
    expect(trigramKey('abc')).toBe('abc')
    expect(trigramKey('é\\1')).toBe('x303x251xx1')
  })
})

describe('the distance of two words', () => {
  it.each([
    ['shirt', 'shirt', 0],
    ['shirt', 'shrit', 1],
    ['shirt', 'shit', 1],
    ['shirt', 'shirts', 1],
    ['shirt', 'short', 1],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
  ])('from %s to %s is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance)
    expect(editDistance(b, a)).toBe(distance)
  })
})
