import type { FastifyRequest } from 'fastify'
import { type Principal, principalOf } from './access.ts'

/** Who does something, and from where: what a record of it names. */
export interface Acting {
  principal: Principal
  ip: string
  userAgent: string | undefined
}

/** Who is behind a guarded request. */
export function actingOf(request: FastifyRequest): Acting {
  return { principal: principalOf(request), ip: request.ip, userAgent: request.headers['user-agent'] }
}
