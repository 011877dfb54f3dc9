import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { networkOf } from './failed-authentications.ts'
import { rateLimited } from './key-limit.ts'

export interface RateLimitOptions {
  /** Of one credential, unless a key has a limit of its own; of an address, or the /64 of IPv6, where there is none. */
  requestsPerMinute: number
  /** Of all credentials of an organization together. */
  organizationRequestsPerMinute: number
}

const WINDOW_SECONDS = 60
const PLUGIN_HEADERS = ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset']

/** How often a minute whoever calls may do so, counted in Redis for all processes. Routes that take events have limits of their own. */
export default fp(
  async (app, { requestsPerMinute, organizationRequestsPerMinute }: RateLimitOptions) => {
    await app.register(rateLimit, {
      max: ({ principal }) => (principal?.kind === 'key' && principal.requestsPerMinute) || requestsPerMinute,
      timeWindow: WINDOW_SECONDS * 1000,
      redis: app.redis,
      nameSpace: 'rate:',
      // Reads go on while Redis is away; routes that must not be guessed at say skipOnError: false themselves.
      skipOnError: true,
      keyGenerator: callerOf,
      enableDraftSpec: true,
      errorResponseBuilder: (_request, { ttl }) => rateLimited(Math.ceil(ttl / 1000), 'These were too many.'),
    })
    const countOrganization = app.createRateLimit({
      max: organizationRequestsPerMinute,
      keyGenerator: (request) => `organization:${organizationOf(request)}`,
    })

    // After the guard, which knows the organization, and before the body.
    async function limitOrganization(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      if (organizationOf(request) === undefined) return
      const count = await countOrganization(request)
      if (count.isAllowed || !count.isExceeded) return
      for (const name of PLUGIN_HEADERS) reply.removeHeader(name)
      const window = { windowSeconds: WINDOW_SECONDS, remaining: 0, resetSeconds: count.ttlInSeconds }
      setRateLimits(reply, [{ policy: 'organization', quota: organizationRequestsPerMinute, ...window }])
      throw rateLimited(count.ttlInSeconds, 'The organization has reached its limit.')
    }
    app.addHook('onRoute', (route) => {
      if (route.config?.rateLimit !== false) route.preParsing = [limitOrganization, route.preParsing ?? []].flat()
    })
  },
  { name: 'rate-limits', dependencies: ['redis'] },
)

/** Whose budget a request is taken from: the caller's, in whatever form the credential came, or the address's. */
function callerOf({ principal, ip }: FastifyRequest): string {
  if (principal?.kind === 'key') return `key:${principal.keyId}`
  if (principal?.kind === 'session') return `session:${principal.sessionId}`
  return `ip:${networkOf(ip)}`
}

const organizationOf = ({ organization, scope, principal }: FastifyRequest): string | undefined =>
  organization?.organizationId ??
  scope?.organizationId ??
  (principal?.kind === 'key' ? principal.organizationId : undefined)

/** The plugin writes three headers of an early draft; callers get the two structured fields of the current one. */
export function restateRateLimit(reply: FastifyReply): void {
  const limit = reply.getHeader('ratelimit-limit')
  if (limit === undefined) return
  setRateLimits(reply, [
    {
      policy: 'requests',
      quota: Number(limit),
      windowSeconds: WINDOW_SECONDS,
      remaining: Number(reply.getHeader('ratelimit-remaining')),
      resetSeconds: Number(reply.getHeader('ratelimit-reset')),
    },
  ])
  for (const name of PLUGIN_HEADERS) reply.removeHeader(name)
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
