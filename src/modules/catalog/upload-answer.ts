import type { ProblemLists } from './upload-plan.ts'
import type { UploadResult } from './uploads.ts'

/** Ids per piece of text. */
const IDS_AT_ONCE = 1_000

/** The answer to an upload (product-feed contract, section 3) in pieces: it may be many times longer than the file. */
export async function* writeUploadAnswer(
  { created, existing }: UploadResult,
  { problematicIds, problems }: ProblemLists,
): AsyncGenerator<string | Buffer> {
  yield '{"message":"Products uploaded successfully","created_product_ids":'
  yield* jsonList(created.map((product) => product.feedId))
  yield ',"existing_product_ids":'
  yield* jsonList(existing)
  yield ',"problematic_product_ids":'
  yield* problematicIds.json()
  yield ',"problems":'
  yield* problems.json()
  yield '}'
}

function* jsonList(ids: readonly string[]): Generator<string> {
  for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
    const piece = JSON.stringify(ids.slice(at, at + IDS_AT_ONCE)).slice(1, -1)
    yield at === 0 ? `[${piece}` : `,${piece}`
  }
  yield ids.length === 0 ? '[]' : ']'
}
