import { createHash } from 'node:crypto'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.ts'
import { networkOf } from './failed-authentications.ts'
import { keyIdOf } from './signing-keys.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No browser shows the answer, so it needs none of a page's headers. */
    isForPrograms?: boolean
  }
}

interface SecurityOptions {
  jwtSecret: string
  requestsPerMinute: number
}

/** Headers, token signing and rate limits, for every route. */
export default fp(
  async (app, { jwtSecret, requestsPerMinute }: SecurityOptions) => {
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
    await app.register(rateLimit, {
      max: requestsPerMinute,
      timeWindow: '1 minute',
      redis: app.redis,
      nameSpace: 'rate:',
      // Reads go on while Redis is away; routes that must not be guessed at say skipOnError: false themselves.
      skipOnError: true,
      keyGenerator,
      enableDraftSpec: true,
      errorResponseBuilder: (_request, { ttl }) =>
        new Problem('request.rate_limited', 429, 'Too many requests', `Try again in ${Math.ceil(ttl / 1000)} s.`),
    })
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

/** One budget per credential, or per address where there is none. The credential itself never becomes a Redis key. */
function keyGenerator(request: FastifyRequest): string {
  const credential = request.headers.authorization ?? request.headers['sec-websocket-protocol']
  if (!credential) return `ip:${networkOf(request.ip)}`
  return `credential:${createHash('sha256').update(credential).digest('base64url')}`
}

/** The plugin writes three headers of an early draft; callers get the two structured fields of the current one. */
function restateRateLimit(reply: FastifyReply): void {
  const limit = reply.getHeader('ratelimit-limit')
  if (limit === undefined) return
  setRateLimits(reply, [
    {
      policy: 'requests',
      quota: Number(limit),
      windowSeconds: 60,
      remaining: Number(reply.getHeader('ratelimit-remaining')),
      resetSeconds: Number(reply.getHeader('ratelimit-reset')),
    },
  ])
  for (const name of ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset']) reply.removeHeader(name)
}

/** A limit that holds for a request, and how much of it is left until it begins anew. */
export interface RateLimit {
  policy: string
  quota: number
  windowSeconds: number
  remaining: number
  resetSeconds: number
}

/** Writes `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers). */
export function setRateLimits(reply: FastifyReply, limits: readonly RateLimit[]): void {
  for (const [name, value] of Object.entries(rateLimitHeaders(limits))) reply.header(name, value)
}

export const rateLimitHeaders = (limits: readonly RateLimit[]): Record<string, string> => ({
  'ratelimit-policy': limits
    .map(({ policy, quota, windowSeconds }) => `"${policy}";q=${quota};w=${windowSeconds}`)
    .join(', '),
  ratelimit: limits
    .map(({ policy, remaining, resetSeconds }) => `"${policy}";r=${Math.max(0, remaining)};t=${resetSeconds}`)
    .join(', '),
})
