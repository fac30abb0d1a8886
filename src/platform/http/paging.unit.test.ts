import { describe, expect, it } from 'vitest'

import { cutPage, fetchPage, presentPage, readPageRequest } from './paging.ts'

describe('readPageRequest', () => {
  it.each([
    [{}, { pageSize: 20, offset: undefined }],
    [{ page_size: '1' }, { pageSize: 1, offset: undefined }],
    [{ page_size: '007' }, { pageSize: 7, offset: undefined }],
    [{ page_size: '100' }, { pageSize: 100, offset: undefined }],
    [{ page_size: '101' }, { pageSize: 100, offset: undefined }],
    [{ page_size: '9'.repeat(400) }, { pageSize: 100, offset: undefined }],
    [{ offset: '2025-02-11T13:21:54.181982Z' }, { pageSize: 20, offset: '2025-02-11T13:21:54.181982Z' }],
  ])('reads %j', (query, request) => {
    expect(readPageRequest(query, 20)).toEqual(request)
  })

  it.each(['', '0', '00', '-1', '+1', '1.0', '1e2', 'x', ' 1', '１'])('refuses the page size "%s"', (text) => {
    expect(() => readPageRequest({ page_size: text }, 20)).toThrow(
      expect.objectContaining({ status: 400, errors: { page_size: ['A whole number of 1 or more is required.'] } }),
    )
  })

  it('names every parameter that is wrong', () => {
    expect(() => readPageRequest({ page_size: 'x', offset: 'yesterday' }, 20)).toThrow(
      expect.objectContaining({
        errors: {
          page_size: ['A whole number of 1 or more is required.'],
          offset: ['A timestamp is required.'],
        },
      }),
    )
  })
})

describe('cutPage', () => {
  const cut = (times: string[], pageSize: number) => cutPage(times, pageSize, (time) => time)

  it('knows the end', () => {
    expect(cut([], 2)).toEqual({ rows: [], offsetDate: null, hasNext: false })
    expect(cut(['a'], 2)).toEqual({ rows: ['a'], offsetDate: 'a', hasNext: false })
    expect(cut(['a', 'b'], 2)).toEqual({ rows: ['a', 'b'], offsetDate: 'b', hasNext: false })
  })

  it('leaves out the row that says there is more', () => {
    expect(cut(['a', 'b', 'c'], 2)).toEqual({ rows: ['a', 'b'], offsetDate: 'b', hasNext: true })
    expect(cut(['a', 'b', 'c', 'c'], 2)).toEqual({ rows: ['a', 'b'], offsetDate: 'b', hasNext: true })
  })

  it('goes on over equal times', () => {
    expect(cut(['a', 'b', 'b', 'b'], 2)).toEqual({ rows: ['a', 'b', 'b', 'b'], offsetDate: 'b', hasNext: false })
  })
})

describe('fetchPage', () => {
  /** As the database does it: the first rows, and those that tie with the last of them. */
  const withTies = (times: string[]) => (limit: number) =>
    Promise.resolve(times.filter((time, place) => place < limit || time === times[limit - 1]))
  const fetched = (times: string[], pageSize: number) => fetchPage(withTies(times), pageSize, (time) => time)

  it('extends a page over equal times and still knows whether rows remain', async () => {
    expect(await fetched(['a', 'b', 'b', 'b'], 2)).toEqual({
      rows: ['a', 'b', 'b', 'b'],
      offsetDate: 'b',
      hasNext: false,
    })
    expect(await fetched(['a', 'b', 'b', 'b', 'c'], 2)).toEqual({
      rows: ['a', 'b', 'b', 'b'],
      offsetDate: 'b',
      hasNext: true,
    })
    expect(await fetched(['a', 'b', 'c', 'c'], 2)).toEqual({ rows: ['a', 'b'], offsetDate: 'b', hasNext: true })
    expect(await fetched([], 2)).toEqual({ rows: [], offsetDate: null, hasNext: false })
  })
})

it('presents a page as the contract writes it', () => {
  const page = cutPage([1, 2, 3], 2, String)

  expect(presentPage({ pageSize: 2 }, page, (row) => ({ row }))).toEqual({
    metadata: { page_size: 2, offset_date: '2', has_next: true },
    data: [{ row: 1 }, { row: 2 }],
  })
})
