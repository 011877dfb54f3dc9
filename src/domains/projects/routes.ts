import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { projectScope } from '../../http/access.ts'
import { actingOf } from '../../http/acting.ts'
import { CursorQuery, LimitQuery, ProjectParams, problemResponses } from '../../http/schemas.ts'
import { CreatedKey, KeyPage, KeyParams, NewKey, ProjectChange, ProjectSchema } from './schemas.ts'
import type { ProjectsService } from './service.ts'

export const projectRoutes: FastifyPluginAsyncTypebox<{ projects: ProjectsService }> = async (app, { projects }) => {
  app.get(
    '/v1/projects/:projectId/api-keys',
    {
      config: { access: 'keys:read' },
      schema: {
        operationId: 'listKeys',
        summary: 'List the keys of a project',
        description:
          'Write keys and API keys that still act, oldest first. A key itself is never shown again, only its hint.',
        tags: ['Keys'],
        params: ProjectParams,
        querystring: Type.Object(
          { limit: LimitQuery, cursor: Type.Optional(CursorQuery) },
          { additionalProperties: false },
        ),
        response: {
          200: KeyPage,
          ...problemResponses(400, 401, 403, 404, 429, 503),
        },
      },
    },
    (request) =>
      projects.listKeys(projectScope(request), { limit: request.query.limit, after: request.query.cursor ?? '' }),
  )

  app.post(
    '/v1/projects/:projectId/api-keys',
    {
      config: { access: 'keys:write' },
      schema: {
        operationId: 'createKey',
        summary: 'Make a key',
        description:
          'Makes a write key, which may only send events, or an API key with scopes. The answer is the only time that the key is shown. A key can give another only scopes that it has itself.',
        tags: ['Keys'],
        params: ProjectParams,
        body: NewKey,
        response: { 201: CreatedKey, ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await projects.createKey(projectScope(request), request.body, actingOf(request))),
  )

  app.delete(
    '/v1/projects/:projectId/api-keys/:keyId',
    {
      config: { access: 'keys:write' },
      schema: {
        operationId: 'revokeKey',
        summary: 'Revoke a key',
        description:
          'The key stops acting in every process within five seconds, and live connections that it opened are closed.',
        tags: ['Keys'],
        params: KeyParams,
        response: { 204: Type.Null({ description: 'Revoked.' }), ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      await projects.revokeKey(projectScope(request), request.params.keyId, actingOf(request))
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/v1/projects/:projectId',
    {
      config: { access: 'projects:read' },
      schema: {
        operationId: 'readProject',
        summary: 'Read a project',
        description: 'Its name, and what it says about the requests that its keys make.',
        tags: ['Projects'],
        params: ProjectParams,
        response: { 200: ProjectSchema, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => projects.readProject(projectScope(request)),
  )

  app.patch(
    '/v1/projects/:projectId',
    {
      config: { access: 'projects:write' },
      schema: {
        operationId: 'changeProject',
        summary: 'Change a project',
        description: 'Changes the fields that are given. Every process acts on the change within five seconds.',
        tags: ['Projects'],
        params: ProjectParams,
        body: ProjectChange,
        response: { 200: ProjectSchema, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    (request) => projects.changeProject(projectScope(request), request.body, actingOf(request)),
  )
}
