import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perAddress } from '../../../http/limits.ts'
import { personOf } from '../../../http/person.ts'
import { problemResponses } from '../../../http/schemas.ts'
import { deviceOf } from '../person.ts'
import { CHECK_YOUR_MAIL, CheckYourMail, Credentials, EmailVerification } from '../schemas.ts'
import type { EmailChangeService } from './service.ts'

interface EmailChangeRouteOptions {
  emailChange: EmailChangeService
}

export const emailChangeRoutes: FastifyPluginAsyncTypebox<EmailChangeRouteOptions> = async (app, { emailChange }) => {
  app.post(
    '/v1/me/email',
    {
      config: { access: 'self', rateLimit: perAddress('email', 10) },
      schema: {
        operationId: 'changeEmail',
        summary: 'Ask for another address',
        description:
          'Mails a link to the new address; using it within 24 hours changes the address. Needs the password. The answer is the same for an address that has an account.',
        tags: ['Accounts'],
        body: Credentials,
        response: { 202: CheckYourMail, ...problemResponses(400, 401, 403, 413, 415, 422, 429, 503) },
      },
    },
    async (request, reply) => {
      await emailChange.request(personOf(request).userId, request.body, request.ip)
      return reply.code(202).send(CHECK_YOUR_MAIL)
    },
  )

  app.post(
    '/v1/auth/confirm-email-change',
    {
      config: { access: 'public', rateLimit: perAddress('verify', 20) },
      schema: {
        operationId: 'confirmEmailChange',
        summary: 'Change the address',
        description:
          'Takes the token of the mailed link, once. The address before is told by mail; nobody is signed out.',
        tags: ['Accounts'],
        body: EmailVerification,
        response: {
          204: Type.Null({ description: 'The address is the new one.' }),
          ...problemResponses(400, 413, 415, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      await emailChange.confirm(request.body.token, deviceOf(request))
      return reply.code(204).send(null)
    },
  )
}
