import type { Config } from '../../platform/config.ts'

/** The key that signs tokens. The command line fills it in from the data folder when it is not set, before anything is assembled. */
export function secretKeyOf(config: Config): string {
  if (config.secretKey === undefined) throw new Error('SECRET_KEY has to be filled in before the server is assembled')
  return config.secretKey
}
