import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import WebSocket from 'ws'
import { eventually } from './app.ts'

export interface Frame {
  type: string
  id?: string
  count?: number
  event?: { event: string; messageId: string; properties: Record<string, unknown> }
  lastId?: string | null
  errors?: { path: string; message: string }[]
}

/** The base URL of an application that listens on a free port. */
export async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

/** Opens a live socket and gathers its frames. Rejects with the status when the handshake is refused. */
export async function openLive(t: Test, url: string, credential: string, subprotocol = false) {
  const headers = subprotocol ? {} : { authorization: `Bearer ${credential}` }
  const socket = new WebSocket(url, subprotocol ? ['meterhouse.v1', `bearer.${credential}`] : [], { headers })
  const frames: Frame[] = []
  let closed: number | undefined
  socket.on('message', (data) => frames.push(JSON.parse(String(data)) as Frame))
  socket.on('close', (code) => {
    closed = code
  })
  t.teardown(() => socket.terminate())
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('unexpected-response', (_request, response) => reject(new Error(`refused with ${response.statusCode}`)))
    socket.once('error', reject)
  })
  return {
    socket,
    frames,
    closeCode: () => closed,
    events: () => frames.filter((frame) => frame.type === 'event'),
    ids: () => frames.flatMap((frame) => (frame.event ? [frame.event.messageId] : [])),
    frame: (type: string) => eventually(`a ${type} frame`, async () => frames.find((frame) => frame.type === type)),
  }
}
