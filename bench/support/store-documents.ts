import { arrayLiteral } from '../../src/platform/db/array-literal.ts'
import type { CopyValue } from '../../src/platform/db/copy.ts'
import type { Tx } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { saveSearchDocuments } from '../../src/modules/catalog/search/documents.ts'
import { documentText, fold, SEPARATOR } from '../../src/modules/catalog/search/fold.ts'
import { marks, splitWords } from '../../src/modules/catalog/search/words.ts'
import type { SampleProduct } from './catalogue.ts'
import type { SeededStore } from './store-seed.ts'

export const documentColumns =
  'product_id, owner_id, state, updated, price, brand, condition, gender, text, tag_names, words'

/**
 * The search documents of the sample; their words are added to `known`. The catalogue lets the database find the words, which would take
 * ten times as long here.
 */
export function* documentRows(store: SeededStore, known: Set<string>): Generator<CopyValue[]> {
  const { catalogue, sellers, tagIds } = store
  const foldedTags = catalogue.tagNames.map(fold)
  for (const product of catalogue.products()) {
    const text = documentText(product.texts())
    const tagNames = product.tags.map((tag) => foldedTags[tag]!).join(SEPARATOR)
    const words = wordsOf(text, tagNames)
    for (const word of words) known.add(word)
    const tags = product.tags.map((tag) => marks.tag(tagIds[tag]!))
    const marked = arrayLiteral([...words, ...facetMarks(product), ...tags])
    yield [...plainColumns(product, sellers[product.seller]!.id), text, tagNames, marked]
  }
}

function plainColumns(product: SampleProduct, ownerId: string): CopyValue[] {
  const { id, updated, price, feedId, brand, condition, gender } = product
  const facets = feedId === null ? [null, null, null] : [brand, condition, gender]
  return [id, ownerId, 'AVAILABLE', updated, price, ...facets]
}

function facetMarks({ feedId, brand, condition, gender }: SampleProduct): string[] {
  return feedId === null ? [] : [marks.brand(brand), marks.condition(condition), marks.gender(gender)]
}

/** No word of the sample is so long that it would be stored in pieces. */
function wordsOf(text: string, tagNames: string): Set<string> {
  const words = new Set(splitWords(text + SEPARATOR + tagNames))
  words.delete('')
  return words
}

const CHECKED = 50

/** Throws when the documents above are not what the catalogue itself writes for the same products. */
export async function checkDocuments(tx: Tx): Promise<void> {
  const sample = await tx.rows<{ id: string }>(sql`SELECT product_id AS id FROM product_search LIMIT ${CHECKED}`)
  const ids = sample.map((row) => row.id)
  const countWords = sql`SELECT count(*) AS count FROM search_words`
  const ours = [await readDocuments(tx, ids), await tx.row(countWords)]
  await saveSearchDocuments(tx, ids)
  const theirs = [await readDocuments(tx, ids), await tx.row(countWords)]
  if (JSON.stringify(ours) !== JSON.stringify(theirs))
    throw new Error(`the seeded search documents differ from those of the catalogue`)
}

function readDocuments(tx: Tx, ids: readonly string[]): Promise<unknown[]> {
  return tx.rows(sql`
    SELECT d.*, ARRAY(SELECT unnest(words) AS word ORDER BY word) AS words FROM product_search d
    WHERE product_id = ANY(${ids}) ORDER BY product_id`)
}
