export { defineMailTemplate } from './mail-template.ts'
export type { MailTemplate, RenderedMail } from './mail-template.ts'
export { queueMail, queueMails } from './mail.ts'
export type { NewMail } from './mail.ts'
