import { expect, it } from 'vitest'

import { UnavailableError } from '../../platform/errors.ts'
import { createPasswordHashing } from './passwords.ts'

it('hashes with argon2id at the promised cost and knows the password again', async () => {
  const hashing = createPasswordHashing()

  const stored = await hashing.hash('a password')

  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await hashing.isRight(stored, 'a password')).toBe(true)
  expect(await hashing.isRight(stored, 'a Password')).toBe(false)
  expect(await hashing.isRight(stored, 'a password\0')).toBe(false)
  expect(await hashing.isRight(stored, 'x'.repeat(1_000_000))).toBe(false)
})

it('turns away who comes when the queue is full, and works on afterwards', async () => {
  const hashing = createPasswordHashing({ concurrency: 1, maxWaiting: 2 })

  const results = await Promise.allSettled(Array.from({ length: 5 }, () => hashing.hash('a password')))

  const refused = results.filter((result) => result.status === 'rejected')
  expect(results.map((result) => result.status)).toEqual([
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'rejected',
    'rejected',
  ])
  expect(refused[0]?.reason).toBeInstanceOf(UnavailableError)
  expect(refused[0]?.reason.headers).toHaveProperty('retry-after')
  await expect(hashing.hash('a password')).resolves.toContain('argon2id')
})

it('gives its slot back when a hash cannot be read', async () => {
  const hashing = createPasswordHashing({ concurrency: 1 })

  await expect(hashing.isRight('no hash', 'a password')).rejects.toThrow('Decoding failed')

  await expect(hashing.hash('a password')).resolves.toContain('argon2id')
})

it('takes as long for nobody as for somebody', async () => {
  const hashing = createPasswordHashing({ concurrency: 1 })
  const stored = await hashing.hash('a password')
  await hashing.checkNobody('warm up')

  const somebody = await timeOf(() => hashing.isRight(stored, 'wrong'))
  const nobody = await timeOf(() => hashing.checkNobody('wrong'))

  expect(nobody).toBeGreaterThan(somebody / 3)
})

it('leaves the event loop free', async () => {
  const hashing = createPasswordHashing()
  let longestGap = 0
  let last = performance.now()
  const timer = setInterval(() => {
    longestGap = Math.max(longestGap, performance.now() - last)
    last = performance.now()
  }, 1)

  const start = performance.now()
  await Promise.all(Array.from({ length: 12 }, () => hashing.hash('a password')))
  const total = performance.now() - start
  clearInterval(timer)

  expect(longestGap).toBeLessThan(total / 2)
})

/** The quickest of five, which a busy machine disturbs least. */
async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < 5; run++) {
    const start = performance.now()
    await work()
    times.push(performance.now() - start)
  }
  return Math.min(...times)
}
