import type { FastifyReply, FastifyRequest } from 'fastify'
import { FLOW_TTL_MS } from './flows.ts'

export type FlowCookie = ReturnType<typeof createFlowCookie>

/**
 * Binds a sign-in at a provider to the browser that began it. Lax, because the provider sends the person back with a request of its own
 * site, and a strict cookie would stay behind.
 */
export function createFlowCookie({ secure }: { secure: boolean }) {
  const name = secure ? '__Host-meterhouse_sign_in' : 'meterhouse_sign_in'
  const options = { path: '/', httpOnly: true, sameSite: 'lax', secure } as const
  return {
    read: (request: FastifyRequest): string | undefined => request.cookies[name],
    write: (reply: FastifyReply, token: string) =>
      reply.setCookie(name, token, { ...options, maxAge: FLOW_TTL_MS / 1000 }),
    clear: (reply: FastifyReply) => reply.clearCookie(name, options),
  }
}
