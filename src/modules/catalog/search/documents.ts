import { arrayLiteral } from '../../../platform/db/array-literal.ts'
import type { Tx } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import { documentText, SEPARATOR } from './fold.ts'
import { documentWords, learnWords } from './words.ts'

interface Source {
  id: string
  title: string
  description: string
  tagNames: string
}

/**
 * Brings the search documents of these products in line with products and tags, in the transaction that wrote them: from its commit on they
 * are found by what they are, or no longer when they are deleted. The caller holds the locks of the products.
 */
export async function saveSearchDocuments(tx: Tx, productIds: readonly string[]): Promise<void> {
  if (productIds.length === 0) return
  const sources = await listSources(tx, productIds)
  const ids = arrayLiteral(sources.map((source) => source.id))
  const texts = arrayLiteral(sources.map(documentText))
  const tagNames = arrayLiteral(sources.map((source) => source.tagNames))
  await tx.run(sql`
    WITH gone AS (
      DELETE FROM product_search WHERE product_id = ANY(${productIds}::uuid[]) AND product_id <> ALL(${ids}::uuid[])
    ), document AS MATERIALIZED (
      SELECT p.id AS product_id, p.owner_id, p.state, p.updated, p.price, p.brand, p.condition, p.gender, n.text, n.tag_names
      FROM unnest(${ids}::uuid[], ${texts}::text[], ${tagNames}::text[]) AS n (id, text, tag_names) JOIN products p USING (id)
    ), saved AS (
      INSERT INTO product_search (product_id, owner_id, state, updated, price, brand, condition, gender, text, tag_names, words)
      SELECT document.*, ${documentWords('document')} FROM document ORDER BY product_id
      ON CONFLICT (product_id) DO UPDATE SET state = excluded.state, updated = excluded.updated, price = excluded.price,
        brand = excluded.brand, condition = excluded.condition, gender = excluded.gender, text = excluded.text,
        tag_names = excluded.tag_names, words = excluded.words
      RETURNING words
    ) ${learnWords('saved')}`)
}

/** A renaming of a tag waits for those who are writing its name into documents, or they for it: none keeps the old one. */
function listSources(tx: Tx, productIds: readonly string[]): Promise<Source[]> {
  return tx.rows<Source>(sql`
    WITH attached AS MATERIALIZED (
      SELECT product_tags.product_id, product_tags.place, tags.name_folded
      FROM product_tags JOIN tags ON tags.id = product_tags.tag_id
      WHERE product_tags.product_id = ANY(${productIds}::uuid[]) AND tags.deleted IS NULL
      ORDER BY tags.id FOR SHARE OF tags
    )
    SELECT p.id, p.title, p.description,
      coalesce((SELECT string_agg(name_folded, ${SEPARATOR} ORDER BY place) FROM attached WHERE product_id = p.id), '') AS "tagNames"
    FROM products p WHERE p.id = ANY(${productIds}::uuid[]) AND p.state <> 'DELETED' ORDER BY p.id`)
}
