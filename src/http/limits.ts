import type { FastifyRequest } from 'fastify'
import { networkOf } from './failed-authentications.ts'

/** Guessing is limited by address, or by the /64 of IPv6, and refused altogether while the limiter's store is away. */
export const perAddress = (name: string, max: number) => ({
  max,
  timeWindow: '1 minute',
  skipOnError: false,
  keyGenerator: (request: Pick<FastifyRequest, 'ip'>) => `${name}:${networkOf(request.ip)}`,
})
