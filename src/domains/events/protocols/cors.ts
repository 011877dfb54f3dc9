import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { isAllowedOrigin } from '../../projects/index.ts'
import { originNotAllowed } from '../errors.ts'

const METHODS = 'GET, POST'
const REQUEST_HEADERS = 'authorization, content-type, content-encoding, idempotency-key, x-retry-count, anonymousid'
/** A browser library that cannot read Retry-After comes back too soon. */
const ANSWER_HEADERS = 'retry-after, ratelimit, ratelimit-policy, x-request-id'
const PREFLIGHT_TTL_SECONDS = 86_400

/**
 * Lets pages of other origins use the routes of this scope that are registered after it: of any origin, or of those that the key's
 * project names. Nothing here acts on a cookie: a page can send with the key that it has, and no more. Beacons attach cookies, so
 * browsers want the origin by name and credentials allowed. A preflight has no key yet, so it is answered for every origin.
 */
export function allowBrowsers(app: FastifyInstance): void {
  const urls = new Set<string>()
  // The key is known before the body is read, or after it where the body holds the key.
  app.addHook('onRequest', refuseForeignOrigin)
  app.addHook('preHandler', refuseForeignOrigin)
  app.addHook('onSend', (request, reply, payload, done) => {
    // A preflight of any other route ends here, too, and is told nothing.
    const isServed = request.method !== 'OPTIONS' || urls.has(pathOf(request))
    if (isServed && request.headers.origin !== undefined) writeOrigin(request, request.headers.origin, reply)
    done(null, payload)
  })
  app.options('/*', { config: { access: 'public', rateLimit: false }, schema: { hide: true } }, (request, reply) =>
    isPreflight(request) && urls.has(pathOf(request))
      ? reply
          .headers({
            'access-control-allow-methods': METHODS,
            'access-control-allow-headers': REQUEST_HEADERS,
            'access-control-max-age': String(PREFLIGHT_TTL_SECONDS),
          })
          .code(204)
          .send()
      : reply.callNotFound(),
  )
  app.addHook('onRoute', ({ url }) => void urls.add(url))
}

const pathOf = ({ url }: FastifyRequest): string => url.split('?', 1)[0] ?? ''

const isPreflight = ({ headers }: FastifyRequest) =>
  headers.origin !== undefined && headers['access-control-request-method'] !== undefined

/** A request without an origin comes from no page: only browsers send one, and they do not let a page forge it. */
function refuseForeignOrigin(request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const { origin } = request.headers
  const detail = 'The project of this key does not list the origin of the page in its allowedOrigins.'
  done(origin === undefined || isWelcome(request, origin) ? undefined : originNotAllowed(detail))
}

/** Whether the key's project lets pages of the origin send; true as long as the key is not known. */
function isWelcome({ principal }: FastifyRequest, origin: string): boolean {
  return principal?.kind !== 'key' || isAllowedOrigin(origin, principal.settings.allowedOrigins)
}

function writeOrigin(request: FastifyRequest, origin: string, reply: FastifyReply): void {
  reply.header('vary', 'Origin')
  if (!isWelcome(request, origin)) return
  reply.header('access-control-allow-origin', origin)
  reply.header('access-control-allow-credentials', 'true')
  reply.header('access-control-expose-headers', ANSWER_HEADERS)
}
