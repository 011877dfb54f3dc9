import type { JWT } from '@fastify/jwt'
import { challenge, type Principal } from '../../http/access.ts'
import { keyIdOf } from '../../http/signing-keys.ts'

const ACCESS_TOKEN_TTL_MS = 15 * 60_000

/** `sub` is a user for `session`, a project for `viewer`; `sid` is the session that a `session` token belongs to. */
interface Claims {
  typ: 'session' | 'viewer'
  sub: string
  sid?: string
  exp: number
}

export interface IssuedToken {
  accessToken: string
  expiresAt: string
}

/** What a device gets: the access token for its requests, and the refresh token for its cookie. */
export interface Grant extends IssuedToken {
  refreshToken: string
  refreshExpiresAt: Date
  /** What pages of this origin send along with the cookie. */
  csrfToken: string
}

/** What of a grant is said in the body. */
export const issuedOf = ({ accessToken, expiresAt }: Grant): IssuedToken => ({ accessToken, expiresAt })

export type Tokens = ReturnType<typeof createTokens>

/** Access tokens: short-lived and signed, never stored. Of the secrets the first signs; all verify what names them. */
export function createTokens(jwt: JWT, secrets: readonly string[]) {
  const keys = new Map(secrets.map((secret) => [keyIdOf(secret), secret]))
  const issue = (claims: Omit<Claims, 'exp'>, notAfterMs = Number.POSITIVE_INFINITY): IssuedToken => {
    const exp = Math.floor(Math.min(Date.now() + ACCESS_TOKEN_TTL_MS, notAfterMs) / 1000)
    return { accessToken: jwt.sign({ ...claims, exp }), expiresAt: new Date(exp * 1000).toISOString() }
  }
  return {
    /** A token of one session, which it does not outlive. */
    issueSession: (userId: string, sessionId: string, notAfterMs: number) =>
      issue({ typ: 'session', sub: userId, sid: sessionId }, notAfterMs),
    /** A token that may only watch and query one project; the start page of a development server carries one. */
    issueViewer: (projectId: string) => issue({ typ: 'viewer', sub: projectId }),

    /** Checks what is signed. Whether the session goes on is for its service to say. */
    verify(token: string): Principal {
      const { typ, sub, sid, exp } = claimsOf(jwt, keys, token)
      const expiresAtMs = exp * 1000
      if (typ === 'session' && sid) return { kind: 'session', userId: sub, sessionId: sid, expiresAtMs }
      if (typ === 'viewer') return { kind: 'viewer', projectId: sub, expiresAtMs }
      throw notAccepted()
    },
  }
}

/** Whatever is wrong with a token, the caller learns only that it does not act. */
const notAccepted = () => challenge('The access token is not valid or has expired.')

const HEADER_FIELDS = new Set(['alg', 'typ', 'kid'])

function claimsOf(jwt: JWT, keys: ReadonlyMap<string, string>, token: string): Claims {
  try {
    const header = jwt.decode<{ header: Record<string, unknown> }>(token, { complete: true })?.header ?? {}
    const key = keys.get(String(header.kid))
    // A header may only name one of our keys. One that brings a key of its own, or tells where to fetch it, is a forger's.
    if (key === undefined || Object.keys(header).some((field) => !HEADER_FIELDS.has(field))) throw notAccepted()
    return jwt.verify<Claims>(token, { key })
  } catch {
    // The reason would help nobody but a forger.
    throw notAccepted()
  }
}
