type FaultHandler = (name: string) => void

let handler: FaultHandler | undefined

/** A named place where a crash must lose nothing. Does nothing unless a test has armed it. */
export function faultPoint(name: string): void {
  handler?.(name)
}

/** Lets a test kill its own process at a named point; undefined disarms. */
export function armFaultPoints(onPoint: FaultHandler | undefined): void {
  handler = onPoint
}
