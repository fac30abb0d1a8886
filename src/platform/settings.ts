import { isIP } from 'node:net'
import { isMailAddress } from './mail/address.ts'

export type Environment = Record<string, string | undefined>

/** All faults of the settings in one message, one line each. */
export class ConfigError extends Error {
  constructor(readonly problems: string[]) {
    const count = problems.length === 1 ? 'one setting is' : `${problems.length} settings are`
    super(`Souk cannot start, ${count} wrong:\n${problems.map((line) => `  - ${line}`).join('\n')}`)
    this.name = 'ConfigError'
  }
}

export type SettingsReader = ReturnType<typeof settingsReader>

/** Typed access to environment variables that collects faults; `finish` throws them together. A blank value counts as unset. */
export function settingsReader(env: Environment) {
  const problems: string[] = []

  function given(name: string): string | undefined {
    const value = env[name]?.trim()
    return value === '' ? undefined : value
  }

  function reject<T>(name: string, why: string, fallback: T): T {
    problems.push(`${name} ${why}`)
    return fallback
  }

  function optionalText(name: string, rule: { minLength?: number; isPassword?: boolean } = {}): string | undefined {
    // Blanks at its ends belong to a password, line ends of the file it was read from do not.
    const value = given(name) && (rule.isPassword ? env[name]?.replace(/[\r\n]+$/, '') : given(name))
    if (value !== undefined && value.length < (rule.minLength ?? 0)) {
      return reject(name, `must have at least ${rule.minLength} characters`, undefined)
    }
    return value
  }

  function integer(name: string, fallback: number, range: { min?: number; max?: number } = {}): number {
    const value = given(name)
    if (value === undefined) return fallback
    const number = Number(value)
    const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = range
    if (/^-?\d+$/.test(value) && number >= min && number <= max) return number
    const bounds = range.max === undefined ? `of ${min} or more` : `from ${min} to ${max}`
    return reject(name, `must be a whole number ${bounds}, not "${value}"`, fallback)
  }

  function boolean(name: string, fallback: boolean): boolean {
    const value = given(name)?.toLowerCase()
    if (value === undefined) return fallback
    if (['1', 'true', 'yes', 'on'].includes(value)) return true
    if (['0', 'false', 'no', 'off'].includes(value)) return false
    return reject(name, `must be true or false, not "${value}"`, fallback)
  }

  function choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = given(name)
    if (value === undefined) return fallback
    const found = choices.find((word) => word === value)
    return found ?? reject(name, `must be one of ${choices.join(', ')}, not "${value}"`, fallback)
  }

  function optionalUrl(name: string, schemes: string[]): string | undefined {
    const value = given(name)
    if (value === undefined) return undefined
    // The value is not repeated: such addresses carry passwords.
    if (URL.canParse(value) && schemes.includes(new URL(value).protocol)) return value
    return reject(name, `must be an address that starts with ${schemes.map((s) => `${s}//`).join(' or ')}`, undefined)
  }

  function mailAddress(name: string, fallback: string): string {
    const value = given(name) ?? fallback
    const bare = /^[^<>]*<([^<>]+)>$/.exec(value)?.[1] ?? value
    if (isMailAddress(bare)) return value
    return reject(name, `must be an address such as souk@shop.example or Souk <souk@shop.example>`, fallback)
  }

  function list(name: string): string[] {
    return (given(name) ?? '').split(/[\s,]+/).filter((word) => word !== '')
  }

  function origins(name: string, fallback: string[]): string[] {
    if (given(name) === undefined) return fallback
    return list(name).map((text) => {
      if (URL.canParse(text) && new URL(text).origin === text.replace(/\/$/, '')) return new URL(text).origin
      return reject(name, `must list origins such as https://shop.example, not "${text}"`, text)
    })
  }

  function proxies(name: string): string[] {
    return list(name).filter(
      (text) =>
        isProxy(text) || reject(name, `must list IP addresses or ranges such as 10.0.0.0/8, not "${text}"`, false),
    )
  }

  function timeZone(name: string, fallback: string): string {
    const value = given(name) ?? fallback
    try {
      return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone
    } catch {
      return reject(name, `must be an IANA time zone such as Europe/Madrid, not "${value}"`, fallback)
    }
  }

  return {
    optionalText,
    text: (name: string, fallback: string) => given(name) ?? fallback,
    integer,
    boolean,
    choice,
    optionalUrl,
    mailAddress,
    list,
    origins,
    proxies,
    timeZone,
    finish(more: readonly string[]): void {
      problems.push(...more)
      if (problems.length > 0) throw new ConfigError(problems)
    },
  }
}

/** What the server takes for the address of a proxy: one address, a range, or a named set of ranges. */
function isProxy(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, more] = text.split('/')
  if (more !== undefined || address.includes('%')) return false
  const longest = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0
  return bits === undefined ? longest > 0 : /^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= longest
}
