import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perAddress } from '../../../http/limits.ts'
import { personOf } from '../../../http/person.ts'
import { problemResponses } from '../../../http/schemas.ts'
import { deviceOf } from '../person.ts'
import {
  IdentityParams,
  LinkedIdentities,
  ProviderAnswer,
  ProviderList,
  ProviderParams,
  StartQuery,
} from '../schemas.ts'
import { Challenge } from '../second-factor/schemas.ts'
import type { SessionCookie } from '../session-cookie.ts'
import type { FlowCookie } from './flow-cookie.ts'
import { alsoAsPages, problemAsPage, wantsPage } from './page.ts'
import type { ProvidersService } from './service.ts'

interface ProviderRouteOptions {
  providers: ProvidersService
  cookie: SessionCookie
  flowCookie: FlowCookie
}

const SIGNED_IN_PAGE = '/account/signed-in'
const SECOND_FACTOR_PAGE = '/account/second-factor'

export const providerRoutes: FastifyPluginAsyncTypebox<ProviderRouteOptions> = async (app, options) => {
  const { providers, cookie, flowCookie } = options

  app.get(
    '/v1/auth/providers',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'listSignInProviders',
        summary: 'List the other services that sign people in',
        description: 'What to offer beside email and password.',
        tags: ['Accounts'],
        response: { 200: ProviderList, ...problemResponses(429, 503) },
      },
    },
    async () => ({ data: providers.list() }),
  )

  app.get(
    '/v1/auth/providers/:providerId/start',
    {
      config: { access: 'public', rateLimit: perAddress('provider-start', 20) },
      schema: {
        operationId: 'startProviderSignIn',
        summary: 'Sign in at another service',
        description:
          'For a link that a person follows: sends the browser to the provider, with a cookie that binds the sign-in to it for ten minutes.',
        tags: ['Accounts'],
        params: ProviderParams,
        querystring: StartQuery,
        response: {
          302: Type.Null({ description: 'On to the provider.' }),
          ...problemResponses(400, 404, 429, 502, 503),
        },
      },
    },
    async (request, reply) => {
      const { providerId } = request.params
      const { location, token } = await providers.start(providerId, request.query.returnTo ?? SIGNED_IN_PAGE)
      flowCookie.write(reply, token)
      return reply.header('cache-control', 'no-store').redirect(location, 302)
    },
  )

  app.get(
    '/v1/auth/providers/:providerId/callback',
    {
      config: { access: 'public', rateLimit: perAddress('provider-callback', 20) },
      onSend: problemAsPage,
      schema: {
        operationId: 'finishProviderSignIn',
        summary: 'Come back from another service',
        description:
          'Where the provider sends the browser. Sets the cookie with the refresh token and goes on to the page that the sign-in began for; a page gets its access token by `POST /v1/auth/refresh`. An address that the provider confirmed is linked to the account that has it, or gets one. For a person with a second factor there is no cookie but a challenge: a browser goes on to the page that asks for the code, everything else gets the challenge as a sign-in with a password does.',
        tags: ['Accounts'],
        params: ProviderParams,
        querystring: ProviderAnswer,
        response: {
          200: Challenge,
          302: Type.Null({ description: 'Signed in, or a code is still owed; on to the page.' }),
          ...alsoAsPages(problemResponses(400, 403, 404, 422, 429, 502, 503)),
        },
      },
    },
    async (request, reply) => {
      const token = flowCookie.read(request)
      const query = request.url.slice(request.url.indexOf('?') + 1)
      const answer = { token, state: request.query.state, query }
      const { signIn, location } = await providers.finish(request.params.providerId, answer, deviceOf(request))
      flowCookie.clear(reply)
      reply.header('cache-control', 'no-store')
      if (!('challenge' in signIn)) return cookie.write(reply, signIn).redirect(location, 302)
      if (!wantsPage(request)) return reply.code(200).send(signIn)
      // Behind the #, which browsers send to no server.
      const owed = new URLSearchParams({ challenge: signIn.challenge, returnTo: location })
      return reply.redirect(`${SECOND_FACTOR_PAGE}#${owed}`, 302)
    },
  )

  app.get(
    '/v1/me/identities',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'listIdentities',
        summary: 'List your identities',
        description: 'The accounts at other services that sign you in here.',
        tags: ['Accounts'],
        response: { 200: LinkedIdentities, ...problemResponses(400, 401, 403, 429, 503) },
      },
    },
    async (request) => ({ data: await providers.identitiesOf(personOf(request).userId) }),
  )

  app.delete(
    '/v1/me/identities/:identityId',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'unlinkIdentity',
        summary: 'Remove an identity',
        description: 'Refused when it is the only way into the account. Sessions that it began go on.',
        tags: ['Accounts'],
        params: IdentityParams,
        response: {
          204: Type.Null({ description: 'It signs you in no more.' }),
          ...problemResponses(400, 401, 403, 404, 409, 429, 503),
        },
      },
    },
    async (request, reply) => {
      await providers.unlink(personOf(request).userId, request.params.identityId, deviceOf(request))
      return reply.code(204).send(null)
    },
  )
}
