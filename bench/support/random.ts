/** Numbers from 0 up to 1, the same ones for the same seed (mulberry32), so that every run sees the same catalogue. */
export type Random = () => number

export function createRandom(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const TABLE_SIZE = 2 ** 20

/** Draws 0 to `count` - 1; the n-th is drawn in proportion to 1/n^exponent, as words, brands and sellers of a market are spread. */
export function zipf(count: number, exponent: number): (random: Random) => number {
  const shares = Array.from({ length: count }, (_, n) => 1 / (n + 1) ** exponent)
  const total = shares.reduce((sum, share) => sum + share, 0)
  const table = new Uint16Array(TABLE_SIZE)
  let sum = 0
  for (const [n, share] of shares.entries()) {
    const from = Math.round((sum / total) * TABLE_SIZE)
    sum += share
    table.fill(n, from, Math.round((sum / total) * TABLE_SIZE))
  }
  return (random) => table[Math.floor(random() * TABLE_SIZE)]!
}

const heads = 'b br c ch d dr f fl g gr h j k l m n p pl pr r s sh st t tr v w z'.split(' ')
const vowels = 'a e i o u ai ea ie oo ou é ü'.split(' ')
const tails = ['', '', '', 'n', 'r', 's', 't', 'l', 'nd', 'rk', 'st', 'x']

/** Distinct words that can be spoken, the early ones short; a few bear accents. */
export function vocabulary(count: number, random: Random): string[] {
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)]!
  const words = new Set<string>()
  while (words.size < count) {
    const syllables = 1 + Math.floor(random() * (words.size < count / 50 ? 2 : 4))
    let word = ''
    for (let n = 0; n < syllables; n++) word += pick(heads) + pick(vowels)
    words.add(word + pick(tails))
  }
  return [...words]
}
