import type { WebSocket } from '@fastify/websocket'
import type { ProjectScope } from '../../http/access.ts'
import type { Metrics } from '../../infra/metrics.ts'
import { isAfter, type LiveEvent, type Tail } from '../events/index.ts'
import type { ServerFrame } from './schemas.ts'

/** What a socket wants to see; replaced as a whole by each filter message. */
export type Wanted = (event: Record<string, unknown>) => boolean

export interface LiveSocketOptions {
  socket: WebSocket
  scope: ProjectScope
  tail: Tail
  metrics: Metrics
  wanted: Wanted
  /** Id of the last event that the client saw, to go on from. */
  after: string | undefined
  bufferBytesMax: number
  heartbeatIntervalMs: number
}

/** How long a socket may stay behind before it is closed, in heartbeats. */
const SLOW_HEARTBEATS_MAX = 1
const CATCH_UP_INTERVAL_MS = 250

/** 1013 means try again later (RFC 6455 registry), whatever the reason. */
export const CLOSE = { tryAgain: 1013, credentialEnded: 4001 } as const

/**
 * One viewer. What is queued for it is bounded: past the bound events are left out and counted, and the count is sent as soon as
 * there is room again, so a viewer knows what it did not see and never delays another.
 */
export function openLiveSocket(options: LiveSocketOptions) {
  const { socket, scope, tail, metrics, after, bufferBytesMax, heartbeatIntervalMs } = options
  let { wanted } = options
  let dropped = 0
  let lastId = after
  let answeredPing = true
  let slowHeartbeats = 0
  /** Events that arrive while the ones missed before are still being read. */
  let waiting: LiveEvent[] | undefined = after === undefined ? undefined : []

  const hasRoom = () => socket.bufferedAmount < bufferBytesMax
  const send = (frame: ServerFrame) => socket.send(JSON.stringify(frame))

  const deliver = (events: LiveEvent[]) => {
    if (waiting) return void waiting.push(...events)
    for (const { id, event } of events) {
      // The reader may still be behind what a resume has already delivered.
      if (lastId !== undefined && !isAfter(id, lastId)) continue
      lastId = id
      if (!wanted(event)) continue
      if (!hasRoom()) {
        dropped += 1
        metrics.liveDropped.inc()
        continue
      }
      confessDropped()
      send({ type: 'event', id, event })
    }
  }

  const confessDropped = () => {
    if (dropped === 0 || !hasRoom()) return
    send({ type: 'dropped', count: dropped })
    dropped = 0
  }

  const resume = async (id: string) => {
    const { events, gap } = await tail.since(scope, id)
    const arrived = waiting ?? []
    waiting = undefined
    if (gap) send({ type: 'gap', after: id })
    deliver(events)
    deliver(arrived)
  }

  const heartbeat = setInterval(() => {
    if (!answeredPing) return socket.terminate()
    slowHeartbeats = hasRoom() ? 0 : slowHeartbeats + 1
    if (slowHeartbeats > SLOW_HEARTBEATS_MAX) return socket.close(CLOSE.tryAgain, 'reads too slowly')
    answeredPing = false
    socket.ping()
    if (hasRoom()) send({ type: 'heartbeat', time: new Date().toISOString(), lastId: lastId ?? null })
  }, heartbeatIntervalMs)
  const catchUp = setInterval(confessDropped, CATCH_UP_INTERVAL_MS)

  socket.on('pong', () => {
    answeredPing = true
  })
  const closed = new AbortController()
  metrics.liveSockets.inc()
  socket.once('close', () => {
    clearInterval(heartbeat)
    clearInterval(catchUp)
    closed.abort()
    metrics.liveSockets.dec()
  })

  const begin = async () => {
    await tail.watch(scope, deliver, closed.signal)
    send({ type: 'hello', heartbeatIntervalMs })
    if (after !== undefined) await resume(after)
  }
  begin().catch(() => {
    // The buffer is away: the client reconnects with the last id that it has and asks again.
    socket.close(CLOSE.tryAgain, 'the buffer does not answer')
  })

  return {
    want(next: Wanted) {
      wanted = next
    },
    close: (code: number, reason: string) => socket.close(code, reason),
  }
}
export type LiveSocket = ReturnType<typeof openLiveSocket>
