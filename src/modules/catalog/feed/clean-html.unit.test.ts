import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { cleanHtml } from './clean-html.ts'

/** What cleaners trip over, to be strung together at random. */
const PIECES = [
  '<',
  '>',
  '</',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<?',
  '"',
  "'",
  '=',
  '/',
  ' ',
  '&',
  '&lt;',
  '&#x3c;',
  '&amp',
  ';',
].concat(
  [
    'script',
    'style',
    '<b>',
    '</b>',
    '<p>',
    '</p>',
    '<li',
    '<ul>',
    '<table>',
    '<td>',
    '<tr>',
    '<br',
    '</script>',
    '<img ',
  ],
  ['onerror=', 'javascript:', '<svg/', '<b/', 'x', '\u0000', '\n', '\u00a0', '👗', '<script>', '<style '],
)

describe('cleaning a description', () => {
  it.each([
    ['plain text', 'plain text'],
    ['5 < 6', '5 &lt; 6'],
    ['a & b &amp; c &copy; &#169; &bogus', 'a &amp; b &amp; c &copy; &#169; &amp;bogus'],
    ['<p>Hello <b>you</b></p>', '<p>Hello <b>you</b></p>'],
    ['<P CLASS="x" onclick="evil()">Hi</P>', '<p>Hi</p>'],
    ['one<br/>two<BR>three</br>four', 'one<br>two<br>three<br>four'],
    ['<script>alert(1)</script>text', 'text'],
    ['<SCRIPT type="x">if (a < b) {}</ScRiPt >text', 'text'],
    ['<style>p{}</style>text<script>never closed', 'text'],
    ['<script src="x"/>text', 'text'],
    ['<img src=x onerror=alert(1)>text', 'text'],
    ['<a href="javascript:alert(1)">link</a>', 'link'],
    ['<svg><script>x</script><circle/></svg>text', 'text'],
    ['<iframe srcdoc="<script>x</script>">text</iframe>', 'text'],
    ['<b title="a > b">bold</b>', '<b>bold</b>'],
    ["<b title='>'>bold</b>", '<b>bold</b>'],
    ['<b>open', '<b>open</b>'],
    ['<b><i>crossed</b></i>', '<b><i>crossed</i></b>'],
    ['closed</b></p>', 'closed'],
    ['<p>one<p>two', '<p>one</p><p>two</p>'],
    ['<ul><li>a<li>b</ul>', '<ul><li>a</li><li>b</li></ul>'],
    ['<table><tr><td>a<td>b<tr><th>c</table>', '<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>'],
    ['<!-- gone -->text<!doctype x><?php gone ?>', 'text'],
    ['text<!-- never closed <b>bold</b>', 'text-- never closed <b>bold</b>'],
    ['mail <someone@example.com> now', 'mail &lt;someone@example.com&gt; now'],
    ['a <b and nothing more', 'a &lt;b and nothing more'],
    ['x<y>z', 'xz'],
    ['<<script>script>alert(1)<</script>/script>', '&lt;/script&gt;'],
    ['<scr<script>ipt>alert(1)</script>', '&lt;scr'],
    ['&lt;script&gt;', '&lt;script&gt;'],
    ['< script>alert(1)</ script>', '&lt; script&gt;alert(1)&lt;/ script&gt;'],
    ['<b', '&lt;b'],
    ['<', '&lt;'],
    ['</', '&lt;/'],
    ['<!', ''],
    ['<>', '&lt;&gt;'],
    ['   <p> spaced </p>  ', '<p> spaced </p>'],
  ])('turns %j into %j', (html, cleaned) => {
    expect(cleanHtml(html)).toBe(cleaned)
  })

  it('keeps the text of tags nested too deep and stays balanced', () => {
    const cleaned = cleanHtml(`${'<div>'.repeat(10_000)}deep`)

    expect(cleaned).toBe(`${'<div>'.repeat(32)}deep${'</div>'.repeat(32)}`)
  })

  it('never lets anything but allowed tags through, and cleaning again changes nothing', () => {
    const piece = fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 5, unit: 'binary' }))

    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const cleaned = cleanHtml(pieces.join(''))

        expect(whatIsNotAllowed(cleaned)).toEqual([])
        expect(cleanHtml(cleaned)).toBe(cleaned)
      }),
      { numRuns: 5_000 },
    )
  })

  it.each([
    ['open tags without an end', '<a'],
    ['quotes without an end', '<a b="'],
    ['ends only inside quotes', '<a b=">" '],
    ['comments without an end', '<!--'],
    ['scripts without an end', '<script>'],
    ['ends of nothing', '</b>'],
    ['paragraphs', '<p>'],
    ['crossing formatting', '<b><i></b>'],
    ['table cells', '<table><tr><td>'],
    ['ampersands', '&'],
    ['less-than signs', '<'],
  ])('takes linear time for %s', (_, piece) => {
    const hostile = piece.repeat(Math.ceil(500_000 / piece.length))

    const started = performance.now()
    cleanHtml(hostile)

    // Quadratic work on half a megabyte would take minutes.
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

describe('a cleaner that may stop early', () => {
  it.each([
    ['less-than signs', '<'.repeat(1_000)],
    ['blanks between tags', `a<b></b>${' '.repeat(1_000)}<b>end</b>`],
    ['text', `${'x'.repeat(1_000)}<b>`],
  ])('gives more than enough of %s', (_, html) => {
    expect(cleanHtml(html, 100).length).toBeGreaterThan(100)
  })

  it('gives all when it is not enough', () => {
    const html = `<script>${'x'.repeat(500)}</script> ${' '.repeat(500)}<div><p>short`

    expect(cleanHtml(html, 100)).toBe(cleanHtml(html))
  })
})

/** Written apart from the cleaner on purpose: exact tags only, balanced, and no `<`, `>` or bare `&` anywhere else. */
function whatIsNotAllowed(html: string): string[] {
  const open: string[] = []
  const faults: string[] = []
  const rest = html.replace(
    /<(\/?)(p|br|b|strong|i|em|u|ul|ol|li|span|div|h[1-6]|table|tr|td|th)>/g,
    (tag, slash, name) => {
      if (slash === '/' && open.pop() !== name) faults.push(`unbalanced ${tag}`)
      if (slash === '' && name !== 'br') open.push(name)
      return ' '
    },
  )
  if (/[<>]/.test(rest)) faults.push(`markup left: ${rest}`)
  if (/&(?![a-z0-9]+;|#[0-9]+;|#x[0-9a-f]+;)/i.test(rest)) faults.push(`bare ampersand: ${rest}`)
  return open.length > 0 ? [...faults, `not closed: ${open.join()}`] : faults
}
