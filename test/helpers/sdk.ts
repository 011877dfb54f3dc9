import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { eventually } from './app.ts'
import { listen } from './live.ts'

/** A stored event, its JSON columns read. */
export interface StoredEvent {
  message_id: string
  event: string
  type: string
  user_id: string
  anonymous_id: string
  group_id: string
  timestamp: string
  sent_at: string | null
  properties: Record<string, unknown>
  traits: Record<string, unknown>
  context: Record<string, unknown>
}

/** Every row of the project that was ever written, by its messageId: a copy that FINAL would hide counts here. */
export async function storedEvents(app: FastifyInstance, projectId: string): Promise<StoredEvent[]> {
  const result = await app.clickhouse.client.query({
    query: 'SELECT * FROM events WHERE project_id = {projectId:String} ORDER BY message_id',
    query_params: { projectId },
    format: 'JSONEachRow',
  })
  const read = (value: unknown) => (value === '' ? {} : (JSON.parse(String(value)) as Record<string, unknown>))
  return (await result.json<Record<keyof StoredEvent, string>>()).map((row) => ({
    ...row,
    properties: read(row.properties),
    traits: read(row.traits),
    context: read(row.context),
  }))
}

export function storedCount(app: FastifyInstance, projectId: string, count: number): Promise<StoredEvent[]> {
  return eventually(`storing ${count} events`, async () => {
    const rows = await storedEvents(app, projectId)
    return rows.length >= count && rows
  })
}

interface Exchange {
  method: string
  path: string
  headers: IncomingMessage['headers']
  /** The body as it came, compressed or not. */
  sent: Buffer
  /** What the application answered, and not what the client was told. */
  status: number
  body: string
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/**
 * Stands between an SDK and the application, which then listens. It keeps what was said, and can lose answers to what is sent: the
 * application has done its work, and the client is told 503.
 */
export async function startRelay(t: Test, app: FastifyInstance) {
  const target = (await listen(app)).replace('ws:', 'http:')
  const exchanges: Exchange[] = []
  let toLose = 0
  const server = createServer((incoming, response) => {
    void forward(incoming).then(({ sent, status, headers, bytes }) => {
      exchanges.push({
        method: incoming.method ?? '',
        path: incoming.url ?? '',
        headers: incoming.headers,
        sent,
        status,
        body: bytes.toString(),
      })
      const lose = toLose > 0 && status < 300 && incoming.method === 'POST'
      if (lose) toLose--
      for (const [name, value] of Object.entries(headers)) {
        if (value && !['transfer-encoding', 'content-length', 'connection', 'keep-alive'].includes(name))
          response.setHeader(name, value)
      }
      response.writeHead(lose ? 503 : status)
      response.end(lose ? '' : bytes)
    })
  })

  async function forward(incoming: IncomingMessage) {
    const sent = await readAll(incoming)
    const { connection, 'transfer-encoding': _, ...headers } = incoming.headers
    const outgoing = request(target + incoming.url, { method: incoming.method ?? 'GET', headers })
    outgoing.end(sent)
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    return { sent, status: answer.statusCode ?? 0, headers: answer.headers, bytes: await readAll(answer) }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exchanges,
    loseNextAnswer: () => {
      toLose++
    },
    statuses: () => exchanges.map(({ status }) => status),
  }
}
export type Relay = Awaited<ReturnType<typeof startRelay>>

/** Takes the buffer away, waits until the application has told a client so, and brings it back. */
export async function whileBufferIsAway(app: FastifyInstance, relay: Relay): Promise<void> {
  app.ingestRedis.disconnect()
  const before = relay.exchanges.length
  await eventually('an answer without the buffer', async () =>
    relay.exchanges.slice(before).some(({ status }) => status === 503),
  )
  await app.ingestRedis.connect()
}
