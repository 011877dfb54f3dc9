import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { challenge } from '../../http/access.ts'
import { perAddress } from '../../http/limits.ts'
import { personOf } from '../../http/person.ts'
import { problemResponses } from '../../http/schemas.ts'
import { deviceOf } from './person.ts'
import { AccessToken, Credentials, Me, PasswordChange } from './schemas.ts'
import { Challenge } from './second-factor/schemas.ts'
import type { IdentityService } from './service.ts'
import type { SessionCookie } from './session-cookie.ts'
import { issuedOf } from './tokens.ts'

interface IdentityRouteOptions {
  identity: IdentityService
  cookie: SessionCookie
  requireSameOrigin: (request: FastifyRequest) => Promise<void>
}

export const identityRoutes: FastifyPluginAsyncTypebox<IdentityRouteOptions> = async (app, options) => {
  const { identity, cookie, requireSameOrigin } = options

  app.post(
    '/v1/auth/login',
    {
      config: { access: 'public', rateLimit: perAddress('login', 10) },
      onRequest: requireSameOrigin,
      schema: {
        operationId: 'login',
        summary: 'Sign in',
        description:
          'Exchanges email and password for an access token that is good for 15 minutes, and a cookie with the refresh token. After five wrong passwords for one account from one network there is a pause, which doubles.',
        tags: ['Accounts'],
        body: Credentials,
        response: {
          200: Type.Union([AccessToken, Challenge], { description: 'Signed in, or a code is still owed.' }),
          ...problemResponses(400, 401, 403, 413, 415, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const { email, password } = request.body
      const signIn = await identity.login(email, password, deviceOf(request))
      reply.header('cache-control', 'no-store')
      if ('challenge' in signIn) return reply.send(signIn)
      return cookie.write(reply, signIn).send(issuedOf(signIn))
    },
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
      const me = await identity.me(personOf(request).userId)
      if (!me) throw challenge('The account of this access token is gone.')
      return me
    },
  )

  app.post(
    '/v1/me/password',
    {
      config: { access: 'self', rateLimit: perAddress('password', 10) },
      schema: {
        operationId: 'changePassword',
        summary: 'Change your password',
        description: 'Needs the current one. Every other session of yours ends; this one goes on.',
        tags: ['Accounts'],
        body: PasswordChange,
        response: {
          204: Type.Null({ description: 'Changed.' }),
          ...problemResponses(400, 401, 403, 413, 415, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      await identity.changePassword(personOf(request), request.body, deviceOf(request))
      return reply.code(204).send(null)
    },
  )
}
