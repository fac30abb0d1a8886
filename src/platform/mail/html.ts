/** Text that is HTML already; everything else that goes into a template is escaped. */
export class Html {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text
  }
}

type Value = string | number | boolean | null | undefined | Html | readonly Value[]

/** A template whose values are escaped, unless they are themselves such templates; arrays are joined, null and undefined are nothing. */
export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(strings.map((part, index) => part + (index < values.length ? render(values[index]) : '')).join(''))
}

function render(value: Value): string {
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(render).join('')
  if (value === null || value === undefined) return ''
  return escapeHtml(String(value))
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!)
}

interface MailLayout {
  /** Name above the mail. */
  header: string
  heading: string
  body: Html
  footer: string
}

/** The frame that all mails share: a document that needs no style sheet, image or script from elsewhere. */
export function mailLayout({ header, heading, body, footer }: MailLayout): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${heading}</title>
      </head>
      <body style="margin:0;background:#f4f4f4;font-family:Arial,sans-serif;color:#222">
        <div style="max-width:640px;margin:0 auto;background:#fff">
          <div style="padding:16px 24px;background:#222;color:#fff;font-size:20px">${header}</div>
          <div style="padding:24px">
            <h1 style="font-size:22px;margin:0 0 16px">${heading}</h1>
            ${body}
          </div>
          <div style="padding:16px 24px;color:#666;font-size:13px">${footer}</div>
        </div>
      </body>
    </html> `
  return page.text
}
