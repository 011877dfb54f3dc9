import type { FastifyInstance, InjectOptions } from 'fastify'
import { authorized } from './app.ts'

let addresses = 0
/** Signing in is limited by address, so whoever is not about that comes from their own. */
export const newAddress = () => `198.18.${addresses >> 8}.${addresses++ & 255}`

export const COOKIE = 'meterhouse_refresh'

export interface SignedIn {
  accessToken: string
  refreshToken: string
  csrfToken: string
}

type Answer = Awaited<ReturnType<FastifyInstance['inject']>>

/** The refresh token that an answer sets. */
export const refreshTokenOf = ({ cookies }: Answer): string => cookies.find(({ name }) => name === COOKIE)?.value ?? ''

export const post = (app: FastifyInstance, url: string, request: InjectOptions = {}) =>
  app.inject({ method: 'POST', url, remoteAddress: newAddress(), ...request })

export async function signIn(
  app: FastifyInstance,
  { email, password }: { email: string; password: string },
  request: InjectOptions = {},
): Promise<SignedIn> {
  const answer = await post(app, '/v1/auth/login', { payload: { email, password }, ...request })
  if (answer.statusCode !== 200) throw new Error(`${email} could not sign in: ${answer.body}`)
  const csrfToken = answer.cookies.find(({ name }) => name === 'meterhouse_csrf')?.value ?? ''
  return { accessToken: answer.json().accessToken, refreshToken: refreshTokenOf(answer), csrfToken }
}

export const refresh = (app: FastifyInstance, token: string, headers: Record<string, string> = {}) =>
  post(app, '/v1/auth/refresh', { cookies: { [COOKIE]: token }, headers })

/** What `GET /v1/me` answers to an access token. */
export const statusOfMe = async (app: FastifyInstance, accessToken: string) =>
  (await app.inject(authorized(accessToken, { url: '/v1/me' }))).statusCode
