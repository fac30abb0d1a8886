import type { LightMyRequestResponse } from 'fastify'

import type { TestApp, TestUser } from '../support/app.ts'

export const BOUNDARY = 'souk-test-boundary'

/** The XML of one item with every required element; `more` comes first, so its elements win. */
export function item(id: string, more = ''): string {
  return `<item>${more}<g:id>${id}</g:id><title>Title ${id}</title><g:product_type>Shoes</g:product_type>
    <link>https://shop.example/${id}</link><description>&lt;p&gt;Good. Cheap.&lt;/p&gt;</description>
    <g:image_link>https://img.example/${id}.jpg</g:image_link><g:price>199.99 AED</g:price>
    <g:availability>in stock</g:availability><g:brand>Acme</g:brand><g:gtin>4006381333931</g:gtin>
    <g:item_group_id>group</g:item_group_id><g:condition>new</g:condition><g:age_group>adult</g:age_group>
    <g:color>black</g:color><g:gender>male</g:gender><g:quantity>3</g:quantity></item>`
}

export function feed(...items: string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>${items.join('\n')}</channel></rss>`
}

export function filePart(content: string | Buffer, fileName = 'feed-lw.xml', name = 'file'): Buffer {
  return Buffer.concat([
    Buffer.from(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"; filename="${fileName}"\r\nContent-Type: text/xml\r\n\r\n`,
    ),
    Buffer.from(content as string),
    Buffer.from('\r\n'),
  ])
}

export function fieldPart(name: string, value: string): Buffer {
  return Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
}

export function multipart(...parts: Buffer[]): { headers: { 'content-type': string }; payload: Buffer } {
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    payload: Buffer.concat([...parts, Buffer.from(`--${BOUNDARY}--\r\n`)]),
  }
}

export async function upload(
  souk: TestApp,
  user: TestUser,
  content: string | Buffer,
  fileName?: string,
): Promise<LightMyRequestResponse> {
  const { headers, payload } = multipart(filePart(content, fileName))
  return souk.inject({
    method: 'POST',
    url: '/upload-products/',
    headers: { ...headers, ...user.headers },
    payload,
  })
}
