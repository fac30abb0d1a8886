import { randomBytes } from 'node:crypto'

import { createUserAsOperator, setPasswordAsOperator, type NewUser } from '../modules/identity/index.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db/db.ts'
import { SoukError } from '../platform/errors.ts'
import { UsageError } from './command.ts'

interface UserCommandContext {
  db: Db
  config: Config
}

export type UserOptions = Omit<NewUser, 'password'> & { password?: string | undefined }

/** `souk user create`: the user's id and name, and the password when it was made up here. */
export async function createUser(context: UserCommandContext, options: UserOptions): Promise<string> {
  const password = options.password ?? makePassword()
  const user = await createUserAsOperator(context, { ...options, password }).catch(asUsageError)
  const shown = options.password === undefined ? ` with the password ${password}` : ''
  return `Created ${options.role} "${user.username}" (${user.id})${shown}.`
}

/** `souk user set-password`: every sign-in of the user ends. */
export async function setPassword(context: UserCommandContext, name: string, given?: string): Promise<string> {
  const password = given ?? makePassword()
  const user = await setPasswordAsOperator(context, name, password).catch(asUsageError)
  const shown = given === undefined ? `: ${password}` : ''
  return `"${user.username}" has a new password${shown}. Every sign-in of theirs has ended.`
}

function makePassword(): string {
  return randomBytes(12).toString('base64url')
}

/** One line for each thing that is wrong with what was typed. */
function asUsageError(error: unknown): never {
  if (!(error instanceof SoukError)) throw error
  const lines = Object.entries(error.errors ?? {}).map(([field, [text]]) => `${field}: ${text}`)
  throw new UsageError(lines.length > 0 ? lines.join('\n') : error.message)
}
