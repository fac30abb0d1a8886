import { expect, it } from 'vitest'

import { decodableUrl } from './url.ts'

it.each([
  ['/a/b/?q=%zz', '/a/b/?q=%zz'],
  ['/a/%C3%A9/%2f?x', '/a/%C3%A9/%2f?x'],
  ['/a/%zz/', '/a/%25zz/'],
  ['/a/%', '/a/%25'],
  ['/a/%ff/b', '/a/%25ff/b'],
  ['/a/%C3%A9%2/%c3', '/a/%C3%A9%252/%25c3'],
  ['/%00', '/%00'],
])('makes %s decodable as %s', (url, expected) => {
  expect(decodableUrl(url)).toBe(expected)
})
