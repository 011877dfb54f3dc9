import type { FastifyRequest } from 'fastify'
import { forbidden } from '../errors.ts'
import { principalOf, type SessionPrincipal } from './access.ts'

/** The signed-in person behind a request; 403 for a key. */
export function personOf(request: FastifyRequest): SessionPrincipal {
  const principal = principalOf(request)
  if (principal.kind !== 'session') throw forbidden('A key is not a person: sign in to use this route.')
  return principal
}
