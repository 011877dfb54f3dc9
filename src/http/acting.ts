import type { FastifyRequest } from 'fastify'
import { type Principal, principalOf } from './access.ts'

/** Who does something, and from where: what a record of it names. */
export interface Acting {
  principal: Principal
  ip: string
  userAgent: string | undefined
  /** Whether a person does it who runs the platform, and not as a member of the organization. */
  asOperator?: true
}

/** Who is behind a guarded request. */
export function actingOf(request: FastifyRequest): Acting {
  return { principal: principalOf(request), ip: request.ip, userAgent: request.headers['user-agent'] }
}
