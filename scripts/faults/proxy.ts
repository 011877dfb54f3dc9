import { once } from 'node:events'
import { createServer, connect as dial, type NetConnectOpts, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What a link does to the bytes on it until it is told otherwise. */
export type Weather =
  | { kind: 'clear' }
  /** New connections are reset, the open ones too. */
  | { kind: 'refuse' }
  /** Bytes vanish in both directions; connections stay open. */
  | { kind: 'blackhole' }
  /** Requests arrive, answers vanish. */
  | { kind: 'swallow' }
  /** Each connection is reset once it has carried so many bytes of requests. */
  | { kind: 'cut'; afterBytes: number }
  | { kind: 'latency'; ms: number }

export interface Exchange {
  /** What the chunk is: the beginning of a request, the end of one, or the beginning of its answer. */
  moment: 'head' | 'end' | 'reply'
  chunk: Buffer
}

/** Acts once, at the first moment that matches. Answering 'drop' keeps the chunk from going on and resets the connection. */
export interface Trap {
  /** Which requests it is about. */
  request: (chunk: Buffer) => boolean
  moment: Exchange['moment']
  act: (exchange: Exchange) => 'drop' | 'pass'
}

export interface Link {
  name: string
  port: number
  setWeather: (weather: Weather) => void
  /** Resets every open connection. */
  reset: () => void
  /** Resolves when the trap has acted; false when it was not within the time. */
  trap: (trap: Trap, timeoutMs: number) => Promise<boolean>
  close: () => void
}

/** The last chunk of a body of unknown length (RFC 9112, 7.1). */
const CHUNKED_END = Buffer.from('0\r\n\r\n')

interface LinkState {
  weather: Weather
  armed: { trap: Trap; fire: () => void } | undefined
  open: Set<Socket>
}

/** A TCP proxy in front of one service for one of its clients. */
export async function openLink(name: string, target: NetConnectOpts): Promise<Link> {
  const state: LinkState = { weather: { kind: 'clear' }, armed: undefined, open: new Set() }
  const server = createServer((client) => {
    if (state.weather.kind === 'refuse') client.resetAndDestroy()
    else carry(client, dial(target), state)
  })
  const reset = () => {
    for (const socket of [...state.open]) socket.resetAndDestroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    name,
    port: typeof address === 'object' && address ? address.port : 0,
    setWeather(next) {
      const clears = state.weather.kind !== 'latency' && next.kind === 'clear'
      state.weather = next
      // What a connection has swallowed is gone, so its ends would wait for each other forever.
      if (next.kind === 'refuse' || clears) reset()
    },
    reset,
    trap: (trap, timeoutMs) => arm(state, trap, timeoutMs),
    close() {
      server.close()
      reset()
    },
  }
}

function arm(state: LinkState, trap: Trap, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      state.armed = undefined
      resolve(false)
    }, timeoutMs)
    const fire = () => {
      clearTimeout(timer)
      resolve(true)
    }
    state.armed = { trap, fire }
  })
}

/** One connection, from the first byte to the end of either side. */
function carry(client: Socket, upstream: Socket, state: LinkState): void {
  const [toUpstream, toClient] = [createDirection(upstream), createDirection(client)]
  let requestBytes = 0
  /** The trap that the request on this connection is for. */
  let matched: Trap | undefined
  const end = () => {
    client.resetAndDestroy()
    upstream.destroy()
    state.open.delete(client)
  }
  state.open.add(client)
  for (const socket of [client, upstream]) {
    socket.setNoDelay(true)
    socket.on('error', end).on('close', end)
  }

  /** True when the chunk may go on. */
  const passes = (moment: Exchange['moment'], chunk: Buffer): boolean => {
    if (!state.armed || state.armed.trap !== matched || matched.moment !== moment) return true
    const { trap, fire } = state.armed
    state.armed = undefined
    const verdict = trap.act({ moment, chunk })
    fire()
    if (verdict === 'drop') end()
    return verdict === 'pass'
  }

  client.on('data', (chunk: Buffer) => {
    const { weather, armed } = state
    if (weather.kind === 'blackhole') return
    requestBytes += chunk.length
    if (weather.kind === 'cut' && requestBytes > weather.afterBytes) {
      upstream.end(chunk.subarray(0, Math.max(0, chunk.length - (requestBytes - weather.afterBytes))))
      client.resetAndDestroy()
      return
    }
    if (armed?.trap.request(chunk)) matched = armed.trap
    if (!passes('head', chunk)) return
    toUpstream(chunk, weather)
    if (chunk.subarray(-CHUNKED_END.length).equals(CHUNKED_END)) passes('end', chunk)
  })
  upstream.on('data', (chunk: Buffer) => {
    const { weather } = state
    if (weather.kind === 'blackhole' || weather.kind === 'swallow') return
    if (passes('reply', chunk)) toClient(chunk, weather)
  })
}

/**
 * Writes chunks to a socket in the order in which they came, each after the latency of the moment. TCP never reorders: a proxy that
 * did, as the latency ends, would hand a client the answer to another request and make it believe what never happened.
 */
function createDirection(to: Socket) {
  let tail: Promise<void> = Promise.resolve()
  let waiting = 0
  const write = (chunk: Buffer) => {
    if (!to.destroyed) to.write(chunk)
  }
  return (chunk: Buffer, weather: Weather): void => {
    const latencyMs = weather.kind === 'latency' ? weather.ms : 0
    if (latencyMs === 0 && waiting === 0) {
      write(chunk)
      return
    }
    waiting += 1
    const dueMs = performance.now() + latencyMs
    tail = tail.then(async () => {
      await delay(Math.max(0, dueMs - performance.now()))
      write(chunk)
      waiting -= 1
    })
  }
}
