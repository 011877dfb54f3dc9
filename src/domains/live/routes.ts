import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { WebSocket } from '@fastify/websocket'
import { type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type FieldError, invalidRequest, Problem } from '../../errors.ts'
import { principalOf, projectScope } from '../../http/access.ts'
import { ProjectParams, problemResponses } from '../../http/schemas.ts'
import type { Tail } from '../events/index.ts'
import { createFilterPredicate, type FilterSchema, Filters } from '../insights/index.ts'
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
Close code 4001: the credential was revoked or expired, the membership ended, the role became less or the organization was frozen; 1013: the client reads too slowly, or the key was changed and it may connect again.`

export const liveRoutes: FastifyPluginAsyncTypebox<LiveRouteOptions> = async (app, options) => {
  const { tail, registry } = options
  app.route({
    method: 'GET',
    url: '/v1/projects/:projectId/live',
    config: { access: 'query:read' },
    schema: {
      operationId: 'watchEvents',
      summary: 'Watch events as they arrive',
      description: DESCRIPTION,
      tags: ['Live'],
      params: ProjectParams,
      querystring: LiveQuery,
      response: {
        101: Type.Null({ description: 'The connection is a WebSocket now.' }),
        ...problemResponses(400, 401, 403, 404, 426, 429, 503),
      },
    },
    preHandler: async (request) => {
      wantedByQuery(request.query)
      if (registry.countOf(projectScope(request).projectId) >= SOCKETS_PER_PROJECT_MAX) {
        throw tooManySockets(`A project may have ${SOCKETS_PER_PROJECT_MAX} live connections to one process.`)
      }
    },
    handler: async () => {
      throw upgradeRequired('Open this URL with a WebSocket client.', { headers: { upgrade: 'websocket' } })
    },
    wsHandler: (socket, request) => {
      const scope = projectScope(request)
      const query = request.query as LiveQuery
      const live = openLiveSocket({
        socket,
        scope,
        tail,
        metrics: app.metrics,
        wanted: wantedByQuery(query),
        after: query.after,
        bufferBytesMax: options.bufferBytesMax ?? BUFFER_BYTES_MAX,
        heartbeatIntervalMs: options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS,
      })
      socket.once('close', registry.add(live, scope, principalOf(request)))
      socket.on('message', (data: Buffer) => obey(socket, live, data.toString()))
      socket.on('error', (error) => request.log.debug({ err: error }, 'a live socket broke'))
    },
  })
}

/** Replaces the filter, or says what is wrong with the message; the filter before it stays then. */
function obey(socket: WebSocket, live: LiveSocket, text: string): void {
  try {
    const frame = parseJson(text)
    refuse(faultsOf(ClientFrame, frame, ''))
    live.want(wantedBy(frame as ClientFrame, '/filters'))
    socket.send(JSON.stringify({ type: 'filtered' }))
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    socket.send(JSON.stringify({ type: 'error', errors: error.errors }))
  }
}

const FILTERS_PATH = '/querystring/filters'

function wantedByQuery({ event, filters }: LiveQuery): Wanted {
  const parsed = filters === undefined ? [] : parseJson(filters)
  refuse(faultsOf(Filters, parsed, FILTERS_PATH))
  return wantedBy({ event, filters: parsed as FilterSchema[] }, FILTERS_PATH)
}

function wantedBy({ event, filters = [] }: Pick<ClientFrame, 'event' | 'filters'>, path: string): Wanted {
  const matches = createFilterPredicate(filters, path)
  return (candidate) => (event === undefined || candidate.event === event) && matches(candidate)
}

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw invalidRequest('The filter is not valid.', { errors })
}

function faultsOf(schema: TSchema, value: unknown, path: string): FieldError[] {
  if (value === undefined) return [{ path, message: 'is not JSON' }]
  const faults = [...Value.Errors(schema, value)].slice(0, 10)
  return faults.map((fault) => ({ path: path + fault.path, message: fault.message }))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Callers tell "no JSON" by undefined, which JSON itself cannot express.
    return undefined
  }
}
