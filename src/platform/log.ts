import { pino, type Logger as PinoLogger } from 'pino'

export type Logger = PinoLogger

/** JSON lines to stdout, or readable lines when `pretty`. Secrets must not be passed in; the redaction is the second fence. */
export function createLogger(options: { level: string; pretty: boolean }): Logger {
  const redact = {
    paths: ['authorization', 'cookie', 'password', 'token', '*.authorization', '*.cookie', '*.password', '*.token'],
    censor: '[hidden]',
  }
  const base = { level: options.level, redact, base: undefined, timestamp: pinoTime }
  if (!options.pretty) return pino(base)
  return pino({
    ...base,
    transport: { target: 'pino-pretty', options: { translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' } },
  })
}

function pinoTime(): string {
  return `,"time":"${new Date().toISOString()}"`
}
