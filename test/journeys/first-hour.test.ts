import { afterAll, beforeAll, expect, test } from 'vitest'

import { startTestApp, type TestApp } from '../support/app.ts'

let souk: TestApp

beforeAll(async () => {
  souk = await startTestApp()
})

afterAll(async () => {
  await souk.close()
})

test('a newcomer signs up and is known by the token', async () => {
  const user = await souk.signUp('ana')

  const check = await souk.inject({ method: 'GET', url: '/auth-protected-check/', headers: user.headers })

  expect(check.statusCode).toBe(200)
  expect(check.json()).toEqual({ message: 'User ana with an email ana@example.com is authenticated.' })
})

test('the log comes to rest', async () => {
  await souk.drain()
})
