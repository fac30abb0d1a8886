import pg from 'pg'

import { connectionConfig, errorCode } from '../db.ts'
import { APP_ROLE, SUPERUSER } from './cluster.ts'
import { databaseUrl } from './socket.ts'

const ROLE_UNKNOWN = '28000'
const DATABASE_UNKNOWN = '3D000'

/**
 * Makes sure that our role can open its database. It owns it and may make others (tests do), but is no superuser: what a mistake of ours
 * might let through must not read files or run programs.
 */
export async function ensureDatabase(socketFolder: string): Promise<void> {
  try {
    await withClient(databaseUrl(socketFolder), (client) => client.query('SELECT 1'))
  } catch (error) {
    const code = errorCode(error)
    if (code !== ROLE_UNKNOWN && code !== DATABASE_UNKNOWN) throw error
    await withClient(databaseUrl(socketFolder, SUPERUSER), createDatabase)
  }
}

async function createDatabase(client: pg.Client): Promise<void> {
  const role = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [APP_ROLE])
  if (role.rowCount === 0) await client.query(`CREATE ROLE ${APP_ROLE} LOGIN CREATEDB IN ROLE pg_monitor`)
  await client.query(`CREATE DATABASE ${APP_ROLE} OWNER ${APP_ROLE}`)
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(connectionConfig(url, 'souk start'))
  // A connection that is lost fails the statement that is under way; nobody else need hear of it.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
