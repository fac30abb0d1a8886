interface ArmedFault {
  name: string
  remaining: number
}

let armed: ArmedFault | undefined

/** Arms one fault point, `name` or `name:n` for its n-th passing (setting SOUK_FAULT); for crash tests only. */
export function armFault(fault: string | undefined): void {
  if (fault === undefined) {
    armed = undefined
    return
  }
  const [name = '', count = '1'] = fault.split(':')
  armed = { name, remaining: Number(count) }
}

/** A named place where a crash test kills the process as a power cut would; does nothing unless it is armed. */
export function faultPoint(name: string): void {
  if (armed?.name !== name) return
  armed.remaining -= 1
  if (armed.remaining <= 0) process.kill(process.pid, 'SIGKILL')
}
