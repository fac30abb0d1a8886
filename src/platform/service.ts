/** Something that runs beside the requests for as long as the process lives. */
export interface Service {
  name: string
  start(): Promise<void>
  /** Finishes or gives back what is in hand; must return within a few seconds. Safe to call twice. */
  stop(): Promise<void>
}
