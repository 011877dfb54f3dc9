import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

const METHODS = 'GET, POST'
const REQUEST_HEADERS = 'authorization, content-type, content-encoding, idempotency-key, x-retry-count, anonymousid'
/** A browser library that cannot read Retry-After comes back too soon. */
const ANSWER_HEADERS = 'retry-after, ratelimit, ratelimit-policy, x-request-id'
const PREFLIGHT_TTL_SECONDS = 86_400

/**
 * Lets pages of any origin use the routes of this scope that are registered after it. Nothing here acts on a cookie: a page can send
 * with the key that it has, and no more. Beacons attach cookies, so browsers want the origin by name and credentials allowed.
 */
export function allowBrowsers(app: FastifyInstance): void {
  const urls = new Set<string>()
  app.addHook('onSend', (request, reply, payload, done) => {
    if (request.headers.origin !== undefined) writeOrigin(request.headers.origin, reply)
    done(null, payload)
  })
  app.options('/*', { config: { access: 'public', rateLimit: false }, schema: { hide: true } }, (request, reply) =>
    isPreflight(request) && urls.has(request.url.split('?', 1)[0] ?? '')
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

const isPreflight = ({ headers }: FastifyRequest) =>
  headers.origin !== undefined && headers['access-control-request-method'] !== undefined

function writeOrigin(origin: string, reply: FastifyReply): void {
  reply.header('access-control-allow-origin', origin)
  reply.header('access-control-allow-credentials', 'true')
  reply.header('access-control-expose-headers', ANSWER_HEADERS)
  reply.header('vary', 'Origin')
}
