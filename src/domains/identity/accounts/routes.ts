import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perAddress } from '../../../http/limits.ts'
import { problemResponses } from '../../../http/schemas.ts'
import { deviceOf } from '../person.ts'
import {
  CHECK_YOUR_MAIL,
  CheckYourMail,
  EmailVerification,
  ForgottenPassword,
  PasswordReset,
  Registration,
} from '../schemas.ts'
import type { AccountsService } from './service.ts'

export const accountRoutes: FastifyPluginAsyncTypebox<{ accounts: AccountsService }> = async (app, { accounts }) => {
  app.post(
    '/v1/auth/register',
    {
      config: { access: 'public', rateLimit: perAddress('register', 10) },
      schema: {
        operationId: 'register',
        summary: 'Ask for an account',
        description:
          'Mails a link to the address. The account, and the organization where one is named, are made when the link is used within 24 hours. The answer is the same for an address that has an account; its owner is told by mail.',
        tags: ['Accounts'],
        body: Registration,
        response: { 202: CheckYourMail, ...problemResponses(400, 413, 415, 429, 503) },
      },
    },
    async (request, reply) => {
      await accounts.register(request.body)
      return reply.code(202).send(CHECK_YOUR_MAIL)
    },
  )

  app.post(
    '/v1/auth/verify-email',
    {
      config: { access: 'public', rateLimit: perAddress('verify', 20) },
      schema: {
        operationId: 'verifyEmail',
        summary: 'Make the account',
        description:
          'Takes the token of the mailed link, once. Makes the account and its organization; sign in afterwards.',
        tags: ['Accounts'],
        body: EmailVerification,
        response: {
          204: Type.Null({ description: 'The account is there.' }),
          ...problemResponses(400, 413, 415, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      await accounts.verifyEmail(request.body.token, deviceOf(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/auth/forgot-password',
    {
      config: { access: 'public', rateLimit: perAddress('forgot', 10) },
      schema: {
        operationId: 'forgotPassword',
        summary: 'Ask for a new password',
        description:
          'Mails a link that is good for 30 minutes, if the address has an account. The answer does not tell whether it has.',
        tags: ['Accounts'],
        body: ForgottenPassword,
        response: { 202: CheckYourMail, ...problemResponses(400, 413, 415, 429, 503) },
      },
    },
    async (request, reply) => {
      await accounts.forgotPassword(request.body.email)
      return reply.code(202).send(CHECK_YOUR_MAIL)
    },
  )

  app.post(
    '/v1/auth/reset-password',
    {
      config: { access: 'public', rateLimit: perAddress('reset', 20) },
      schema: {
        operationId: 'resetPassword',
        summary: 'Set a new password',
        description: 'Takes the token of the mailed link, once. Ends every session of the person; sign in afterwards.',
        tags: ['Accounts'],
        body: PasswordReset,
        response: {
          204: Type.Null({ description: 'The password is the new one.' }),
          ...problemResponses(400, 413, 415, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      await accounts.resetPassword(request.body.token, request.body.password, deviceOf(request))
      return reply.code(204).send(null)
    },
  )
}
