import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { projectScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { problemResponses } from '../../../http/schemas.ts'
import { CreatedKey, KeyChange, KeyParams, KeyRotation, KeySchema } from '../schemas.ts'
import type { KeyChangesService } from './service.ts'

export const keyChangeRoutes: FastifyPluginAsyncTypebox<{ keyChanges: KeyChangesService }> = async (
  app,
  { keyChanges },
) => {
  app.patch(
    '/v1/projects/:projectId/api-keys/:keyId',
    {
      config: { access: 'keys:write' },
      schema: {
        operationId: 'changeKey',
        summary: 'Change a key',
        description:
          'Changes the fields that are given: what the key is called, where it may be used from, how often, and until when. Its scopes stay. Every process acts on the change within five seconds. A key can change only keys whose scopes it has itself.',
        tags: ['Keys'],
        params: KeyParams,
        body: KeyChange,
        response: {
          200: { ...KeySchema, description: 'The key as it now is.' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
        },
      },
    },
    (request) => keyChanges.changeKey(projectScope(request), request.params.keyId, request.body, actingOf(request)),
  )

  app.post(
    '/v1/projects/:projectId/api-keys/:keyId/rotate',
    {
      config: { access: 'keys:write' },
      schema: {
        operationId: 'rotateKey',
        summary: 'Replace a key',
        description:
          'Makes a key with the same scopes, limits and end, and shows it this once. The old one goes on for `overlapSeconds`, so that every program can be given the new one first; with 0 it is revoked at once. A key can replace only keys whose scopes it has itself.',
        tags: ['Keys'],
        params: KeyParams,
        body: KeyRotation,
        response: { 201: CreatedKey, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    async (request, reply) =>
      reply
        .code(201)
        .send(await keyChanges.rotateKey(projectScope(request), request.params.keyId, request.body, actingOf(request))),
  )
}
