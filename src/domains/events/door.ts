import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Problem } from '../../errors.ts'
import type { Pressure } from './pressure.ts'
import { LIMITS } from './schemas.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The status of a refusal for too many events: some clients drop what is answered with 429. */
    overload?: 429 | 503
  }
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
    inItsWords(request, () => pressure.check(request.scope?.organizationId, bytes))
    hold(request, bytes)
    // Emitted once however the exchange ends, a client that hangs up included.
    reply.raw.once('close', () => {
      hold(request, 0)
    })
    done()
  })

  app.addHook('preValidation', (request, _reply, done) => {
    if (Buffer.isBuffer(request.body) && takesEvents(request)) hold(request, request.body.length)
    done()
  })

  app.addHook('preHandler', (request, _reply, done) => {
    const { scope } = request
    if (scope && takesEvents(request) && request.routeOptions.config.bodyCredential)
      inItsWords(request, () => pressure.checkLate(scope.organizationId))
    done()
  })

  app.addHook('onResponse', (request, reply, done) => {
    if (request.scope && reply.statusCode < 300 && takesEvents(request))
      pressure.noteTaken(request.scope.organizationId, request.inFlightBytes)
    done()
  })

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

/** Runs a check and throws its refusal with the status after which this route's clients send their events again. */
function inItsWords(request: FastifyRequest, check: () => void): void {
  try {
    check()
  } catch (error) {
    throw request.routeOptions.config.overload === 503 ? asUnavailable(error) : error
  }
}

/** The same refusal as a 503, where it was a 429. */
export function asUnavailable(error: unknown): unknown {
  if (!(error instanceof Problem) || error.status !== 429) return error
  return new Problem(error.code, 503, error.title, error.message, { headers: error.headers, cause: error.cause })
}
