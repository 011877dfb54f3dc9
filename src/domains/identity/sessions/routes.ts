import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { challenge } from '../../../http/access.ts'
import { perAddress } from '../../../http/limits.ts'
import { personOf } from '../../../http/person.ts'
import { problemResponses } from '../../../http/schemas.ts'
import { csrfTokenOf } from '../csrf.ts'
import { deviceOf } from '../person.ts'
import { AccessToken, SessionPage, SessionParams, SessionQuery } from '../schemas.ts'
import type { SessionCookie } from '../session-cookie.ts'
import { issuedOf } from '../tokens.ts'
import type { SessionsService } from './service.ts'

interface SessionRouteOptions {
  sessions: SessionsService
  cookie: SessionCookie
  requireSameOrigin: (request: FastifyRequest) => Promise<void>
  refreshesPerMinute: number
}

const ENDED = Type.Null({ description: 'Ended.' })

export const sessionRoutes: FastifyPluginAsyncTypebox<SessionRouteOptions> = async (app, options) => {
  const { sessions, cookie, requireSameOrigin, refreshesPerMinute } = options

  app.post(
    '/v1/auth/refresh',
    {
      config: { access: 'public', rateLimit: perAddress('refresh', refreshesPerMinute) },
      onRequest: requireSameOrigin,
      schema: {
        operationId: 'refresh',
        summary: 'Get a new access token',
        description:
          'Exchanges the refresh token of the cookie for a new access token and a new cookie. The same token sent again within ten seconds gives the same answer; after that it ends the session, because somebody has a copy. A page sends the value of the cookie `meterhouse_csrf` along as `x-csrf-token`.',
        tags: ['Accounts'],
        response: { 200: AccessToken, ...problemResponses(400, 401, 403, 413, 415, 429, 503) },
      },
    },
    async (request, reply) => {
      const token = cookie.read(request)
      if (!token) throw challenge('There is no refresh token in the cookie: sign in.')
      const grant = await sessions.refresh(token, deviceOf(request), csrfTokenOf(request))
      return cookie.write(reply, grant).header('cache-control', 'no-store').send(issuedOf(grant))
    },
  )

  app.post(
    '/v1/auth/logout',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'logout',
        summary: 'Sign out',
        description:
          'Ends the session of the access token and clears its cookie. Every process stops honoring the token within five seconds.',
        tags: ['Accounts'],
        response: { 204: ENDED, ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    async (request, reply) => {
      const { userId, sessionId } = personOf(request)
      await sessions.end(userId, sessionId, 'logout', deviceOf(request))
      return cookie.clear(reply).code(204).send(null)
    },
  )

  app.post(
    '/v1/auth/logout-everywhere',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'logoutEverywhere',
        summary: 'Sign out on every device',
        description: 'Ends all sessions of the person, this one too.',
        tags: ['Accounts'],
        response: { 204: ENDED, ...problemResponses(400, 401, 403, 413, 415, 429, 503) },
      },
    },
    async (request, reply) => {
      await sessions.endAll(personOf(request).userId, deviceOf(request))
      return cookie.clear(reply).code(204).send(null)
    },
  )

  app.get(
    '/v1/me/sessions',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'listSessions',
        summary: 'List your sessions',
        description: 'Every device on which you are signed in.',
        tags: ['Accounts'],
        querystring: SessionQuery,
        response: { 200: SessionPage, ...problemResponses(400, 401, 403, 429, 503) },
      },
    },
    (request) => {
      const { userId, sessionId } = personOf(request)
      const { limit, cursor = '' } = request.query
      return sessions.list(userId, sessionId, { limit, after: cursor })
    },
  )

  app.delete(
    '/v1/me/sessions/:sessionId',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'endSession',
        summary: 'End a session',
        description: 'Signs one of your devices out; every process stops honoring it within five seconds.',
        tags: ['Accounts'],
        params: SessionParams,
        response: { 204: ENDED, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      await sessions.end(personOf(request).userId, request.params.sessionId, 'revocation', deviceOf(request))
      return reply.code(204).send(null)
    },
  )
}
