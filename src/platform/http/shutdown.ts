import type { App } from './app.ts'

export interface ServerState {
  closing: boolean
  /** Requests that have arrived and are not answered yet. */
  running: number
}

const POLL_MS = 50
/** A connection that has not sent its first request counts as active for Node; past this it is closed when nothing runs. */
const SILENT_CONNECTION_MS = 500

/**
 * Makes `app.close()` finish what runs within the grace period: new requests on kept connections get 503 and `Connection: close`, idle
 * connections are closed as soon as they are idle, and what is left at the end is cut.
 */
export function closeGracefully(app: App, state: ServerState, graceMs: number): void {
  let timer: NodeJS.Timeout | undefined
  app.addHook('preClose', (done) => {
    state.closing = true
    const started = Date.now()
    timer = setInterval(() => {
      const waited = Date.now() - started
      app.server.closeIdleConnections()
      if (waited >= graceMs || (state.running === 0 && waited >= SILENT_CONNECTION_MS)) app.server.closeAllConnections()
    }, POLL_MS)
    done()
  })
  app.server.on('close', () => clearInterval(timer))
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer)
    done()
  })
}
