import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import fp from 'fastify-plugin'
import rateLimits, { type RateLimitOptions, restateRateLimit } from './rate-limits.ts'
import { keyIdOf } from './signing-keys.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No browser shows the answer, so it needs none of a page's headers. */
    isForPrograms?: boolean
  }
}

interface SecurityOptions extends RateLimitOptions {
  jwtSecret: string
}

/** Headers, token signing and rate limits, for every route. */
export default fp(
  async (app, { jwtSecret, requestsPerMinute, organizationRequestsPerMinute }: SecurityOptions) => {
    app.decorateRequest('principal', null)
    app.decorateRequest('scope', null)
    app.decorateRequest('organization', null)
    // Route by route, because the plugin puts the headers together anew for each answer, which costs more than to take an event.
    app.addHook('onRoute', (route) => {
      if (route.config?.isForPrograms !== true) route.helmet = {}
    })
    await app.register(helmet, {
      global: false,
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'self'"],
          scriptSrc: ["'self'"],
          styleSrc: ["'self'"],
          connectSrc: ["'self'"],
          imgSrc: ["'self'", 'data:'],
          objectSrc: ["'none'"],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
      crossOriginEmbedderPolicy: false,
    })
    await app.register(jwt, {
      secret: jwtSecret,
      sign: { algorithm: 'HS256', iss: 'meterhouse', kid: keyIdOf(jwtSecret) },
      verify: {
        algorithms: ['HS256'],
        allowedIss: 'meterhouse',
        // A claim that is absent would otherwise pass its check.
        requiredClaims: ['iss', 'sub', 'typ', 'exp'],
        cache: false,
      },
    })
    await app.register(rateLimits, { requestsPerMinute, organizationRequestsPerMinute })
    app.addHook('onRequest', (request, reply, done) => {
      if (request.is404) reply.helmet()
      done()
    })
    app.addHook('onSend', (request, reply, _payload, done) => {
      restateRateLimit(reply)
      if (request.principal) reply.header('cache-control', 'no-store')
      done()
    })
  },
  { name: 'security', dependencies: ['redis'] },
)
