import type { FastifyRequest } from 'fastify'
import { defineProblem } from '../errors.ts'

const crossSite = defineProblem('auth.cross_site', 403, 'Another site may not make this request')

/**
 * A hook for routes that read or set a cookie: only pages of this origin, and programs that are no browsers, may call them. Every
 * current browser says in `Sec-Fetch-Site` who asks; of older ones `Origin` is held against this server's own name.
 */
export function requireSameOrigin(publicUrl: string) {
  const ownOrigin = new URL(publicUrl).origin
  return async ({ headers }: FastifyRequest): Promise<void> => {
    const site = headers['sec-fetch-site']
    const allowed =
      site === undefined ? isOwn(headers.origin, headers.host, ownOrigin) : site === 'same-origin' || site === 'none'
    if (!allowed) throw crossSite('Call this route from a page of this server.')
  }
}

/** A page cannot forge the name of the server that it is talking to, so that it may stand for the public one. */
function isOwn(origin: string | undefined, host: string | undefined, ownOrigin: string): boolean {
  if (origin === undefined || origin === ownOrigin) return true
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host
}
