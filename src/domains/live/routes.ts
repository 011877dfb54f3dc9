import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { WebSocket } from '@fastify/websocket'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type FieldError, invalidRequest } from '../../errors.ts'
import { principalOf, projectScope } from '../../http/access.ts'
import { ProjectParams, problemResponses } from '../../http/schemas.ts'
import type { Tail } from '../events/index.ts'
import { createFilterPredicate, FilterSchema } from '../insights/index.ts'
import { tooManySockets, upgradeRequired } from './errors.ts'
import { ClientFrame, LiveQuery } from './schemas.ts'
import type { LiveRegistry } from './service.ts'
import { type LiveSocket, openLiveSocket, type Wanted } from './socket.ts'

export interface LiveRouteOptions {
  tail: Tail
  registry: LiveRegistry
  bufferBytesMax?: number
  heartbeatIntervalMs?: number
}

const SOCKETS_PER_PROJECT_MAX = 200
const BUFFER_BYTES_MAX = 1024 * 1024
const HEARTBEAT_INTERVAL_MS = 15_000

const DESCRIPTION = `A WebSocket. The server sends JSON messages: \`hello\`, then \`event\` with the full event and its \`id\` within a second of its
admission, \`heartbeat\` every 15 s, \`dropped\` with a count when the client reads too slowly, and \`gap\` when a resume reaches further back
than the buffer. Send \`{ "type": "filter", "event": …, "filters": [...] }\` to change what arrives. After a reconnect pass the last id as
\`after\`. Browsers, which cannot set headers here, offer the subprotocols \`meterhouse.v1\` and \`bearer.CREDENTIAL\`.
Close code 4001: the credential was revoked or expired; 1013: the client reads too slowly.`

export const liveRoutes: FastifyPluginAsyncTypebox<LiveRouteOptions> = async (app, options) => {
  const { tail, registry } = options
  app.route({
    method: 'GET',
    url: '/v1/projects/:projectId/live',
    config: { access: 'query:read' },
    schema: {
      operationId: 'live',
      summary: 'Watch events as they arrive',
      description: DESCRIPTION,
      tags: ['Live'],
      params: ProjectParams,
      querystring: LiveQuery,
      response: {
        101: Type.Null({ description: 'The connection is a WebSocket now.' }),
        426: Type.Any({ description: 'The request was not a WebSocket handshake.' }),
        ...problemResponses(400, 401, 403, 404, 429, 503),
      },
    },
    preHandler: async (request) => {
      parseFilters(request.query.filters)
      if (registry.countOf(projectScope(request).projectId) >= SOCKETS_PER_PROJECT_MAX) {
        throw tooManySockets(`A project may have ${SOCKETS_PER_PROJECT_MAX} live connections to one process.`)
      }
    },
    handler: async () => {
      throw upgradeRequired('Open this URL with a WebSocket client.', { headers: { upgrade: 'websocket' } })
    },
    wsHandler: (socket, request) => {
      const scope = projectScope(request)
      const { event, filters, after } = request.query as { event?: string; filters?: string; after?: string }
      const live = openLiveSocket({
        socket,
        scope,
        tail,
        metrics: app.metrics,
        wanted: wantedBy(event, parseFilters(filters)),
        after,
        bufferBytesMax: options.bufferBytesMax ?? BUFFER_BYTES_MAX,
        heartbeatIntervalMs: options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS,
      })
      socket.once('close', registry.add(live, scope.projectId, principalOf(request)))
      socket.on('message', (data: Buffer) => obey(socket, live, data.toString()))
      socket.on('error', (error) => request.log.debug({ err: error }, 'a live socket broke'))
    },
  })
}

/** Replaces the filter, or says what is wrong with the message; the filter before it stays then. */
function obey(socket: WebSocket, live: LiveSocket, text: string): void {
  const frame = parseJson(text)
  const errors = faultsOf(ClientFrame, frame)
  if (errors.length > 0) {
    socket.send(JSON.stringify({ type: 'error', errors }))
    return
  }
  const { event, filters = [] } = frame as ClientFrame
  live.want(wantedBy(event, filters))
  socket.send(JSON.stringify({ type: 'filtered' }))
}

function wantedBy(event: string | undefined, filters: readonly FilterSchema[]): Wanted {
  const matches = createFilterPredicate(filters)
  return (candidate) => (event === undefined || candidate.event === event) && matches(candidate)
}

function parseFilters(text: string | undefined): FilterSchema[] {
  if (text === undefined) return []
  const filters = parseJson(text)
  const errors = faultsOf(Type.Array(FilterSchema, { maxItems: 20 }), filters)
  if (errors.length === 0) return filters as FilterSchema[]
  throw invalidRequest('The filter is not valid.', {
    errors: errors.map(({ path, message }) => ({ path: `/querystring/filters${path}`, message })),
  })
}

function faultsOf(schema: Parameters<typeof Value.Errors>[0], value: unknown): FieldError[] {
  if (value === undefined) return [{ path: '', message: 'is not JSON' }]
  return [...Value.Errors(schema, value)].slice(0, 10).map(({ path, message }) => ({ path, message }))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Callers tell "no JSON" by undefined, which JSON itself cannot express.
    return undefined
  }
}
