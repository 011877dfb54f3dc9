import type { JWT } from '@fastify/jwt'
import { challenge, type Principal } from '../../http/access.ts'

const ACCESS_TOKEN_TTL_MS = 15 * 60_000

/** `sub` is a user for `session`, a project for `viewer`. */
interface Claims {
  typ: 'session' | 'viewer'
  sub: string
  exp: number
}

export interface IssuedToken {
  accessToken: string
  expiresAt: string
}

export type Tokens = ReturnType<typeof createTokens>

/** Access tokens: short-lived and signed, never stored. */
export function createTokens(jwt: JWT) {
  const issue = (typ: Claims['typ'], sub: string): IssuedToken => {
    const exp = Math.floor((Date.now() + ACCESS_TOKEN_TTL_MS) / 1000)
    return { accessToken: jwt.sign({ typ, sub, exp }), expiresAt: new Date(exp * 1000).toISOString() }
  }
  return {
    issueSession: (userId: string) => issue('session', userId),
    /** A token that may only watch and query one project; the start page of a development server carries one. */
    issueViewer: (projectId: string) => issue('viewer', projectId),

    verify(token: string): Principal {
      const { typ, sub, exp } = claimsOf(jwt, token)
      const expiresAtMs = exp * 1000
      if (typ === 'session') return { kind: 'session', userId: sub, expiresAtMs }
      if (typ === 'viewer') return { kind: 'viewer', projectId: sub, expiresAtMs }
      throw notAccepted()
    },
  }
}

/** Whatever is wrong with a token, the caller learns only that it does not act. */
const notAccepted = () => challenge('The access token is not valid or has expired.')

function claimsOf(jwt: JWT, token: string): Claims {
  try {
    return jwt.verify<Claims>(token)
  } catch {
    // The reason would help nobody but a forger.
    throw notAccepted()
  }
}
