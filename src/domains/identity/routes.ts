import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { forbidden } from '../../errors.ts'
import { challenge, principalOf } from '../../http/access.ts'
import { problemResponses } from '../../http/schemas.ts'
import { AccessToken, Credentials, Me } from './schemas.ts'
import type { IdentityService } from './service.ts'

/** Guessing a password is limited by address, and refused altogether while the limiter's store is away. */
const LOGIN_LIMIT = {
  max: 10,
  timeWindow: '1 minute',
  skipOnError: false,
  keyGenerator: (request: { ip: string }) => `login:${request.ip}`,
}

export const identityRoutes: FastifyPluginAsyncTypebox<{ identity: IdentityService }> = async (app, { identity }) => {
  app.post(
    '/v1/auth/login',
    {
      config: { access: 'public', rateLimit: LOGIN_LIMIT },
      schema: {
        operationId: 'login',
        summary: 'Sign in',
        description: 'Exchanges email and password for an access token that is good for 15 minutes.',
        tags: ['Accounts'],
        body: Credentials,
        response: { 200: AccessToken, ...problemResponses(400, 401, 413, 415, 429, 503) },
      },
    },
    (request) => identity.login(request.body.email, request.body.password),
  )

  app.get(
    '/v1/me',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'me',
        summary: 'The signed-in person',
        description: 'Name, email and memberships of the person whose access token this is.',
        tags: ['Accounts'],
        response: { 200: Me, ...problemResponses(400, 401, 403, 429, 503) },
      },
    },
    async (request) => {
      const principal = principalOf(request)
      if (principal.kind !== 'session') throw forbidden('A key is not a person: sign in to use this route.')
      const me = await identity.me(principal.userId)
      if (!me) throw challenge('The account of this access token is gone.')
      return me
    },
  )
}
