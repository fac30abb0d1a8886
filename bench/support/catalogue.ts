import { toTimestamp, type Timestamp } from '../../src/platform/clock.ts'
import { createRandom, vocabulary, zipf, type Random } from './random.ts'

export interface SampleProduct {
  id: string
  /** Place of its seller and its tags among those of the sample. */
  seller: number
  tags: number[]
  brand: string
  condition: string
  gender: string
  price: number
  updated: Timestamp
  /** Absent for a product of the store; a product of a feed has the one variant `default`. */
  feedId: string | null
  variants: { name: string; quantity: number }[]
  /** Made when asked for: most of the work. */
  texts(): { title: string; description: string }
}

/** A believable catalogue, the same for the same size. */
export interface SampleCatalogue {
  /** Most frequent first. */
  words: string[]
  tagNames: string[]
  products(): Generator<SampleProduct>
}

export const SELLERS = 1_000
const WORDS = 20_000
const TAGS = 200
const BRANDS = 300
const VARIANTS = ['S', 'M', 'L', 'XL']
const conditions = ['new', 'new', 'new', 'refurbished', 'used']
const genders = ['female', 'female', 'male', 'unisex']
const FIRST_UPDATE = Date.UTC(2025, 0, 1)
const SECOND_MS = 1_000

export function sampleCatalogue(size: number): SampleCatalogue {
  // The words are those of a language, whatever the size of the catalogue.
  const words = vocabulary(WORDS, createRandom(1))
  const tagNames = words.slice(500, 500 + TAGS).map((word, n) => `${word} ${words[1_000 + n]!}`)
  const makeProduct = productMaker(words)
  return {
    words,
    tagNames,
    *products() {
      for (let n = 0; n < size; n++) yield makeProduct(n)
    },
  }
}

function productMaker(words: readonly string[]): (n: number) => SampleProduct {
  const brands = words.slice(2_000, 2_000 + BRANDS).map((word) => word[0]!.toUpperCase() + word.slice(1))
  const drawWord = zipf(WORDS, 1)
  const drawTag = zipf(TAGS, 1)
  const drawBrand = zipf(BRANDS, 1)
  const drawSeller = zipf(SELLERS, 0.8)

  return (n) => {
    const random = createRandom(Math.imul(n + 1, 0x9e3779b1))
    const upTo = (count: number): number => Math.floor(random() * count)
    const pick = <T>(from: readonly T[]): T => from[upTo(from.length)]!
    const say = (count: number): string => {
      let text = words[drawWord(random)]!
      for (let said = 1; said < count; said++) text += ` ${words[drawWord(random)]!}`
      return text
    }
    const brand = brands[drawBrand(random)]!
    const isOfFeed = n % 2 === 0
    const updated = FIRST_UPDATE + n * SECOND_MS
    return {
      id: idOf(updated, random),
      seller: drawSeller(random),
      tags: [...new Set(Array.from({ length: upTo(5) }, () => drawTag(random)))],
      brand,
      condition: pick(conditions),
      gender: pick(genders),
      price: 100 + Math.floor(random() ** 3 * 1_000_000),
      updated: toTimestamp(new Date(updated)),
      feedId: isOfFeed ? `${n}_${n % 977}` : null,
      variants: variantsOf(isOfFeed ? 1 : 1 + upTo(4), random),
      texts: () => ({
        title: `${brand} ${say(2 + upTo(4))}`,
        description: `${say(15 + upTo(20))}. ${say(10 + upTo(15))}.`,
      }),
    }
  }
}

/** A UUIDv7 that is the same in every pass over the catalogue. */
function idOf(milliseconds: number, random: Random): string {
  const digits = (count: number): string =>
    Math.floor(random() * 16 ** count)
      .toString(16)
      .padStart(count, '0')
  const time = milliseconds.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${digits(3)}-8${digits(3)}-${digits(8)}${digits(4)}`
}

/** One in twenty is sold out; the others last for as many orders as a run places. */
function variantsOf(count: number, random: Random): SampleProduct['variants'] {
  const names = count === 1 ? ['default'] : VARIANTS.slice(0, count)
  return names.map((name) => ({ name, quantity: random() < 0.05 ? 0 : 10_000 + Math.floor(random() * 10_000) }))
}
