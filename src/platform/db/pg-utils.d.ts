declare module 'pg/lib/utils.js' {
  /** How the driver sends a value; throws for what cannot be sent. */
  export function prepareValue(value: unknown): Buffer | string | null
}
