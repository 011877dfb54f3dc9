import type { FastifyRequest } from 'fastify'
import { principalOf } from '../../http/access.ts'
import type { IpPolicy } from './enrich/ip.ts'
import { describeSender, type Sender } from './enrich/sender.ts'

/** What a request tells of its events besides its body. */
export interface RequestFacts {
  sender: Sender
  ipPolicy: IpPolicy
}

export function factsOf(request: FastifyRequest): RequestFacts {
  const principal = principalOf(request)
  return {
    sender: describeSender(request.ip, request.headers),
    // Only keys send events; anything else would keep the least.
    ipPolicy: principal.kind === 'key' ? principal.settings.ipPolicy : 'drop',
  }
}
