/** What a template makes of its values. Every value that goes into `html` must be escaped by the template (`platform/mail/html.ts`). */
export interface RenderedMail {
  subject: string
  html: string
  text: string
}

/** A kind of mail; `Values` are plain JSON, kept with the queued mail and rendered when it is first claimed. */
export interface MailTemplate<Values = unknown> {
  name: string
  render(values: Values): RenderedMail
}

/** Declares a template. */
export function defineMailTemplate<Values>(template: MailTemplate<Values>): MailTemplate {
  return template
}
