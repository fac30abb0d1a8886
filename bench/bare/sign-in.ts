// The bare limit of signing in: node:http, one indexed select, argon2 with the same parameters, one insert.
// Usage: sign-in.ts <database url> <password>; prints its address.
import { randomBytes } from 'node:crypto'

import { hash, verify } from '@node-rs/argon2'
import pg from 'pg'

import { serve } from './server.ts'

const [databaseUrl, password] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
await pool.query('CREATE TABLE IF NOT EXISTS bare_users (name text PRIMARY KEY, password text NOT NULL)')
await pool.query('CREATE TABLE IF NOT EXISTS bare_tokens (hash bytea PRIMARY KEY, name text NOT NULL)')
await pool.query(
  'INSERT INTO bare_users VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET password = excluded.password',
  ['bench', await hash(password!, { memoryCost: 19_456, timeCost: 2, parallelism: 1 })],
)

serve((request) => {
  request.resume()
  return signIn()
})

async function signIn(): Promise<string> {
  const { rows } = await pool.query<{ password: string }>({
    name: 'find',
    text: 'SELECT password FROM bare_users WHERE name = $1',
    values: ['bench'],
  })
  if (!(await verify(rows[0]!.password, password!))) throw new Error('wrong password')
  const token = randomBytes(32)
  await pool.query({ name: 'keep', text: 'INSERT INTO bare_tokens VALUES ($1, $2)', values: [token, 'bench'] })
  return JSON.stringify({ token: token.toString('base64url') })
}
