import type { FastifyReply, FastifyRequest } from 'fastify'

export type SessionCookie = ReturnType<typeof createSessionCookie>

/**
 * The cookie that holds the refresh token. No script reads it and no other site's request carries it. `__Host-` makes browsers
 * refuse it from a subdomain or over plain HTTP, which is why development on a laptop has a name without it.
 */
export function createSessionCookie({ secure }: { secure: boolean }) {
  const name = secure ? '__Host-meterhouse_refresh' : 'meterhouse_refresh'
  const options = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const
  return {
    read: (request: FastifyRequest): string | undefined => request.cookies[name],
    write: (reply: FastifyReply, token: string, expires: Date) => reply.setCookie(name, token, { ...options, expires }),
    clear: (reply: FastifyReply) => reply.clearCookie(name, options),
  }
}
