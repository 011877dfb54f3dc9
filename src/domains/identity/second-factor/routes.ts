import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { perAddress } from '../../../http/limits.ts'
import { personOf } from '../../../http/person.ts'
import { problemResponses } from '../../../http/schemas.ts'
import { deviceOf } from '../person.ts'
import { AccessToken } from '../schemas.ts'
import type { SessionCookie } from '../session-cookie.ts'
import { issuedOf } from '../tokens.ts'
import { ChallengeAnswer, Confirmation, Enrolled, Enrollment, OwnerProof, RecoveryCodes } from './schemas.ts'
import type { SecondFactorService } from './service.ts'

interface Options {
  secondFactor: SecondFactorService
  cookie: SessionCookie
  requireSameOrigin: (request: FastifyRequest) => Promise<void>
}

const config = { access: 'self', rateLimit: perAddress('second-factor', 20) } as const
const problems = problemResponses(400, 401, 403, 409, 413, 415, 422, 429, 503)
const tags = ['Accounts']

export const secondFactorRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  const { secondFactor, cookie, requireSameOrigin } = options

  app.post(
    '/v1/me/second-factor',
    {
      config,
      schema: {
        operationId: 'enrollSecondFactor',
        summary: 'Begin with a second factor',
        description: 'Gives a secret for an authenticator. It counts once a first code has confirmed it.',
        tags,
        body: Enrollment,
        response: { 200: Enrolled, ...problems },
      },
    },
    async (request, reply) => {
      const enrolled = await secondFactor.enroll(personOf(request).userId, request.body.password, request.ip)
      return reply.header('cache-control', 'no-store').send(enrolled)
    },
  )

  app.post(
    '/v1/me/second-factor/confirm',
    {
      config,
      schema: {
        operationId: 'confirmSecondFactor',
        summary: 'Confirm a second factor',
        description: 'Takes a first code. From now on every sign-in asks for one.',
        tags,
        body: Confirmation,
        response: { 200: RecoveryCodes, ...problems },
      },
    },
    async (request, reply) => {
      const codes = await secondFactor.confirm(personOf(request).userId, request.body.code, deviceOf(request))
      return reply.header('cache-control', 'no-store').send(codes)
    },
  )

  app.post(
    '/v1/me/second-factor/recovery-codes',
    {
      config,
      schema: {
        operationId: 'renewRecoveryCodes',
        summary: 'Make new recovery codes',
        description: 'The ones before stop counting.',
        tags,
        body: OwnerProof,
        response: { 200: RecoveryCodes, ...problems },
      },
    },
    async (request, reply) => {
      const { userId } = personOf(request)
      const codes = await secondFactor.renewRecoveryCodes(userId, request.body, deviceOf(request))
      return reply.header('cache-control', 'no-store').send(codes)
    },
  )

  app.delete(
    '/v1/me/second-factor',
    {
      config,
      schema: {
        operationId: 'removeSecondFactor',
        summary: 'Remove the second factor',
        description: 'Signing in needs the password alone again.',
        tags,
        body: OwnerProof,
        response: { 204: Type.Null({ description: 'Removed.' }), ...problems },
      },
    },
    async (request, reply) => {
      await secondFactor.remove(personOf(request).userId, request.body, deviceOf(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/auth/second-factor',
    {
      config: { access: 'public', rateLimit: perAddress('second-factor-login', 20) },
      onRequest: requireSameOrigin,
      schema: {
        operationId: 'answerChallenge',
        summary: 'Sign in with the second factor',
        description: 'Takes the challenge of a sign-in with a code or a recovery code. Five wrong ones end it.',
        tags,
        body: ChallengeAnswer,
        response: { 200: AccessToken, ...problems },
      },
    },
    async (request, reply) => {
      const { challenge, ...proof } = request.body
      const grant = await secondFactor.answer(challenge, proof, deviceOf(request))
      return cookie.write(reply, grant).header('cache-control', 'no-store').send(issuedOf(grant))
    },
  )
}
