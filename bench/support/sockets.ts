import { WebSocket } from 'ws'

export interface Frame {
  type: string
  topic?: string
  position?: number
  data?: Record<string, unknown>
}

/** Opens `/ws/changes/` with an API token and waits for `subscribed`; `onText` hears every later frame unparsed. */
export function subscribe(
  url: string,
  headers: Record<string, string>,
  topics: string[],
  onText: (text: Buffer) => void,
): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/changes/`, { headers, perMessageDeflate: false })
    let isSubscribed = false
    socket.on('error', reject)
    socket.on('open', () => socket.send(JSON.stringify({ action: 'subscribe', topics })))
    socket.on('message', (raw: Buffer) => {
      if (isSubscribed) return onText(raw)
      const frame = JSON.parse(raw.toString()) as Frame
      if (frame.type !== 'subscribed') return
      isSubscribed = true
      resolve(socket)
    })
  })
}
