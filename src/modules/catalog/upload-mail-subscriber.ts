import type { Static } from 'typebox'

import type { Change, Subscriber } from '../../changes/index.ts'
import { queueMails, type NewMail } from '../../delivery/index.ts'
import type { Tx } from '../../platform/db/db.ts'
import { listAdminRecipients, type AdminRecipient } from '../identity/index.ts'
import { listProductsByIds, type ProductText } from './listed-product-queries.ts'
import { productsImported, uploadCompleted, uploadFailed } from './topics.ts'
import type { MailedProduct, UploadFailed, UploadSucceeded } from './upload-mails.ts'
import { uploadFailedMail, uploadSucceededMail } from './upload-mails.ts'
import { listUploadsByIds, type Upload } from './upload-queries.ts'

/** One group, so that the many mails of a large upload are sent at a bounded rate beside all others. */
const GROUP = 'catalog.upload'

/**
 * Tells every admin what an upload has done (product-feed contract, section 5): a mail per created product, one when nothing was created
 * but something was found, one when the file was refused. The key is made of change, product and address: a second run sends nothing new.
 */
export const uploadMailSubscriber: Subscriber = {
  name: 'catalog.upload-mails',
  topics: [productsImported.name, uploadCompleted.name, uploadFailed.name],
  mode: 'batch',
  handle: async (tx, changes) => {
    const admins = await listAdminRecipients(tx)
    if (admins.length === 0) return
    const uploads = await uploadsOf(tx, changes)
    for (const change of changes) {
      const upload = uploads.get(change.subject.id)
      if (upload !== undefined) await mailChange(tx, change, upload, admins)
    }
  },
}

/** Changes of background imports name no upload; they have one summary mail of their own. */
async function uploadsOf(tx: Tx, changes: readonly Change[]): Promise<Map<string, Upload>> {
  const uploads = await listUploadsByIds(tx, [...new Set(changes.map((change) => change.subject.id))])
  return new Map(uploads.map((upload) => [upload.id, upload]))
}

async function mailChange(tx: Tx, change: Change, upload: Upload, admins: readonly AdminRecipient[]): Promise<void> {
  if (change.topic === productsImported.name) {
    const { products } = change.data as Static<typeof productsImported.data>
    await mailProducts(tx, change, upload, products, admins)
  } else if (change.topic === uploadFailed.name) {
    await queueMails(
      tx,
      admins.map(({ email }) => failureMail(change, upload, email)),
    )
  } else if (upload.createdCount === 0 && upload.existingCount + upload.problematicCount > 0) {
    await queueMails(
      tx,
      admins.map(({ email }) => successMail(change, upload, email, undefined)),
    )
  }
}

/** Products per statement, so that their texts do not pile up in memory. */
const PRODUCTS_AT_ONCE = 50

async function mailProducts(
  tx: Tx,
  change: Change,
  upload: Upload,
  products: readonly { id: string }[],
  admins: readonly AdminRecipient[],
): Promise<void> {
  const ids = products.map((product) => product.id)
  for (let at = 0; at < ids.length; at += PRODUCTS_AT_ONCE) {
    const piece = ids.slice(at, at + PRODUCTS_AT_ONCE)
    const rows = new Map((await listProductsByIds(tx, piece)).map((row) => [row.productId, row]))
    const mails = piece.flatMap((id) =>
      admins.flatMap(({ email }) => {
        const row = rows.get(id)
        return row === undefined ? [] : [successMail(change, upload, email, row)]
      }),
    )
    await queueMails(tx, mails)
  }
}

function successMail(
  change: Change,
  upload: Upload,
  to: string,
  row: { productId: string; product: ProductText } | undefined,
): NewMail {
  const values: UploadSucceeded = {
    ...uploadedBy(upload),
    product: row === undefined ? null : (JSON.parse(row.product) as MailedProduct),
    existing: { ids: upload.existingIds, count: upload.existingCount },
    problematic: { ids: upload.problematicIds, count: upload.problematicCount },
  }
  const key = `${change.id}:${row?.productId ?? 'none'}:${to}`
  return { key, template: uploadSucceededMail.name, to, values, group: GROUP }
}

function failureMail(change: Change, upload: Upload, to: string): NewMail {
  const values: UploadFailed = { ...uploadedBy(upload), reason: upload.failure ?? '' }
  return { key: `${change.id}:${to}`, template: uploadFailedMail.name, to, values, group: GROUP }
}

function uploadedBy({ username, email, fileName }: Upload): {
  username: string
  email: string | null
  fileName: string
} {
  return { username, email, fileName }
}
