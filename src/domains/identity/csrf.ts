import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'

export type Csrf = ReturnType<typeof createCsrf>

/**
 * The signed double-submit token: made of the session, put in a cookie that pages of this origin can read, and sent back by them in a
 * header. It stays the same as long as the session, so that tabs that refresh at the same time do not spoil each other's.
 * Source: OWASP, Cross-Site Request Forgery Prevention.
 */
export function createCsrf(secret: string) {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'meterhouse csrf tokens', 32))
  const tokenOf = (sessionId: string): string => createHmac('sha256', key).update(sessionId).digest('base64url')
  return {
    tokenOf,
    matches(sessionId: string, given: string): boolean {
      const [expected, actual] = [Buffer.from(tokenOf(sessionId)), Buffer.from(given)]
      return expected.length === actual.length && timingSafeEqual(expected, actual)
    },
  }
}

/** What a browser has sent as its token; undefined for a program that is no browser, which nobody can make send a cookie. */
export function csrfTokenOf({ headers }: FastifyRequest): string | undefined {
  if (headers['sec-fetch-site'] === undefined && headers.origin === undefined) return undefined
  const given = headers['x-csrf-token']
  return typeof given === 'string' ? given : ''
}
