import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Grant } from './tokens.ts'

export type SessionCookie = ReturnType<typeof createSessionCookie>

/** What of a grant lives in cookies. */
type Kept = Pick<Grant, 'refreshToken' | 'refreshExpiresAt' | 'csrfToken'>

/**
 * The cookie that holds the refresh token. No script reads it and no other site's request carries it. `__Host-` makes browsers
 * refuse it from a subdomain or over plain HTTP, which is why development on a laptop has a name without it. Beside it lies the token that a page has to read
 * and send back.
 */
export function createSessionCookie({ secure }: { secure: boolean }) {
  const prefix = secure ? '__Host-' : ''
  const [name, csrfName] = [`${prefix}meterhouse_refresh`, `${prefix}meterhouse_csrf`]
  const options = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const
  return {
    read: (request: FastifyRequest): string | undefined => request.cookies[name],
    write: (reply: FastifyReply, { refreshToken, refreshExpiresAt: expires, csrfToken }: Kept) =>
      reply
        .setCookie(name, refreshToken, { ...options, expires })
        .setCookie(csrfName, csrfToken, { ...options, httpOnly: false, expires }),
    clear: (reply: FastifyReply) =>
      reply.clearCookie(name, options).clearCookie(csrfName, { ...options, httpOnly: false }),
  }
}
