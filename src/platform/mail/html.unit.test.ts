import { expect, test } from 'vitest'

import { html, mailLayout } from './html.ts'

test('values are escaped, templates inside templates are not escaped again', () => {
  const name = `<script>alert("x")</script> & 'co'`
  const items = ['<a>', '<b>'].map((item) => html`<li>${item}</li>`)

  const text = html`<p title="${name}">${name}</p>`.text
  const list = html`<ul>
    ${items}
  </ul>`.text

  expect(text).toBe(
    '<p title="&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;co&#39;">' +
      '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;co&#39;</p>',
  )
  expect(list).toContain('<li>&lt;a&gt;</li><li>&lt;b&gt;</li>')
})

test('nothing is written for null and undefined, and 0 is written', () => {
  const text = html`${null}${undefined}${0}${false}`.text

  expect(text).toBe('0false')
})

test('the layout escapes what it is given', () => {
  const page = mailLayout({ header: 'A & B', heading: '<i>', body: html`<p>${'<u>'}</p>`, footer: '"' })

  expect(page).toContain('A &amp; B')
  expect(page).toContain('<h1 style="font-size:22px;margin:0 0 16px">&lt;i&gt;</h1>')
  expect(page).toContain('<p>&lt;u&gt;</p>')
  expect(page).not.toMatch(/<(i|u)>/)
})
