import { defineMailTemplate } from '../../delivery/index.ts'
import { html, mailLayout, type Html } from '../../platform/mail/html.ts'
import { feedFields } from './feed/feed-item.ts'
import { MAX_NAMED_IDS } from './upload-queries.ts'

export interface NamedIds {
  /** The first ones. */
  ids: string[]
  /** How many there are. */
  count: number
}

export interface UploadedBy {
  username: string
  email: string | null
  fileName: string
}

/** The members of the product object. */
export type MailedProduct = Record<string, string | number | boolean | null>

export interface UploadSucceeded extends UploadedBy {
  /** As in its JSON; null when nothing was created. */
  product: MailedProduct | null
  existing: NamedIds
  problematic: NamedIds
}

export interface UploadFailed extends UploadedBy {
  reason: string
}

export type Line = [name: string, value: string]

export const uploadSucceededMail = defineMailTemplate<UploadSucceeded>({
  name: 'catalog.upload-succeeded',
  render: ({ product, existing, problematic, ...upload }) => {
    const fields = product === null ? [] : feedFields.map(({ json }): Line => [json, textOf(product[json])])
    const lists = [...idLines('Existing Product IDs', existing), ...idLines('Problematic Product IDs', problematic)]
    return renderFeedMail('Product Upload Successful', [uploadLines(upload), fields, lists])
  },
})

export const uploadFailedMail = defineMailTemplate<UploadFailed>({
  name: 'catalog.upload-failed',
  render: ({ reason, ...upload }) =>
    renderFeedMail('Product Upload Failed', [
      [...uploadLines(upload), ['An error occurred while the file was read', reason]],
    ]),
})

/** Who uploaded what: the beginning of every mail about a feed. */
export function uploadLines({ username, email, fileName }: UploadedBy): Line[] {
  return [
    ['User name', username],
    ['User e-mail', email ?? 'none'],
    ['File name', fileName],
  ]
}

/** Fewer ids than items although there is room for more: the others have none. */
export function idLines(name: string, { ids, count }: NamedIds): Line[] {
  const more = count - ids.length
  if (more > 0 && ids.length === MAX_NAMED_IDS) return [[name, `${ids.join(', ')} and ${more} more`]]
  const named: Line[] = ids.length === 0 ? [] : [[name, ids.join(', ')]]
  return more === 0 ? named : [...named, ['Items without an id', String(more)]]
}

function textOf(value: MailedProduct[string] | undefined): string {
  return value === null || value === undefined ? 'none' : String(value)
}

const HEADER = 'Ounass'
const FOOTER = 'Thank you for using Ounass.'

/** A mail about a feed: groups of lines in the common frame. */
export function renderFeedMail(heading: string, groups: Line[][]): { subject: string; html: string; text: string } {
  const filled = groups.filter((lines) => lines.length > 0)
  return {
    subject: heading,
    html: mailLayout({ header: HEADER, heading, body: html`${filled.map(paragraph)}`, footer: FOOTER }),
    text: [HEADER, heading, ...filled.map(plainLines), FOOTER].join('\n\n'),
  }
}

function paragraph(lines: Line[]): Html {
  return html`<ul style="list-style:none;padding:0">
    ${lines.map(([name, value]) => html`<li>${name}: ${value}</li> `)}
  </ul> `
}

function plainLines(lines: Line[]): string {
  return lines.map(([name, value]) => `${name}: ${value}`).join('\n')
}
