import type { FastifyInstance, FastifyRequest } from 'fastify'
import { projectScope } from '../../http/access.ts'
import type { Pressure } from './pressure.ts'
import { LIMITS } from './schemas.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Bytes of this request that count as in flight. */
    inFlightBytes: number
  }
}

/** What a compressed body is expected to become, until it has been decoded. */
const EXPANSION = 10
/** The same of a body whose length nobody says. */
const UNKNOWN_BYTES = 1024 * 1024

/**
 * Puts the pressure before every route of this scope that takes events. A refusal costs no body: it comes after authentication, or
 * before it on the routes whose key is in the body; those are asked again when the organization is known.
 */
export function watchDoor(app: FastifyInstance, pressure: Pressure): void {
  app.decorateRequest('inFlightBytes', 0)
  const takesEvents = ({ routeOptions }: FastifyRequest) => routeOptions.config.access === 'events:write'

  app.addHook('onRequest', (request, reply, done) => {
    if (!takesEvents(request)) return done()
    const bytes = expectedBytes(request)
    pressure.check(request.scope?.organizationId, bytes)
    hold(request, bytes)
    // Emitted once however the exchange ends, a client that hangs up included.
    reply.raw.once('close', () => {
      if (request.scope && reply.raw.writableEnded && reply.statusCode < 300)
        pressure.noteTaken(request.scope.organizationId, request.inFlightBytes)
      hold(request, 0)
    })
    done()
  })

  app.addHook('preValidation', (request, _reply, done) => {
    if (Buffer.isBuffer(request.body) && takesEvents(request)) hold(request, request.body.length)
    done()
  })

  app.addHook('onRoute', (route) => {
    if (route.config?.bodyCredential) route.preHandler = [askAgain, route.preHandler ?? []].flat()
  })

  async function askAgain(request: FastifyRequest): Promise<void> {
    const { organizationId } = projectScope(request)
    pressure.checkLate(organizationId)
  }

  function hold(request: FastifyRequest, bytes: number): void {
    pressure.addInFlight(bytes - request.inFlightBytes)
    request.inFlightBytes = bytes
  }
}

function expectedBytes({ headers }: FastifyRequest): number {
  const length = Number(headers['content-length'] ?? UNKNOWN_BYTES)
  const isEncoded = (headers['content-encoding'] ?? 'identity') !== 'identity'
  return Math.min(LIMITS.bodyBytes, isEncoded ? length * EXPANSION : length)
}
