import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perAddress } from '../../../http/limits.ts'
import { personOf } from '../../../http/person.ts'
import { problemResponses } from '../../../http/schemas.ts'
import { deviceOf } from '../person.ts'
import { OwnPassword } from '../schemas.ts'
import type { SessionCookie } from '../session-cookie.ts'
import type { DeletionService } from './service.ts'

interface DeletionRouteOptions {
  deleteAccount: DeletionService
  cookie: SessionCookie
}

export const deletionRoutes: FastifyPluginAsyncTypebox<DeletionRouteOptions> = async (app, options) => {
  const { deleteAccount, cookie } = options

  app.delete(
    '/v1/me',
    {
      config: { access: 'self', rateLimit: perAddress('deletion', 10) },
      schema: {
        operationId: 'deleteAccount',
        summary: 'Delete your account',
        description:
          'Needs the password. Ends every session and every membership, at once and for good. Refused while an organization has no other owner; the answer names them.',
        tags: ['Accounts'],
        body: OwnPassword,
        response: {
          204: Type.Null({ description: 'The account is gone.' }),
          ...problemResponses(400, 401, 403, 409, 413, 415, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      await deleteAccount(personOf(request).userId, request.body.password, deviceOf(request))
      return cookie.clear(reply).code(204).send(null)
    },
  )
}
