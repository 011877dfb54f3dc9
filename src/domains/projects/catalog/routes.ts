import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import { NewProject, ProjectPage, ProjectPageQuery, ProjectSchema } from '../schemas.ts'
import type { CatalogService } from './service.ts'

export const catalogRoutes: FastifyPluginAsyncTypebox<{ catalog: CatalogService }> = async (app, { catalog }) => {
  app.post(
    '/v1/organizations/:organizationId/projects',
    {
      config: { access: 'projects:create' },
      schema: {
        operationId: 'createProject',
        summary: 'Make a project',
        description: 'For owners, admins and developers. It has no key yet: make a write key to send with.',
        tags: ['Projects'],
        params: OrganizationParams,
        body: NewProject,
        response: {
          201: { ...ProjectSchema, description: 'The new project.' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
        },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await catalog.createProject(organizationScope(request), request.body, actingOf(request))),
  )

  app.get(
    '/v1/organizations/:organizationId/projects',
    {
      config: { access: 'projects:read' },
      schema: {
        operationId: 'listProjects',
        summary: 'List the projects',
        description: 'All of the organization, oldest first.',
        tags: ['Projects'],
        params: OrganizationParams,
        querystring: ProjectPageQuery,
        response: { 200: ProjectPage, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => {
      const { limit, cursor: after = '' } = request.query
      return catalog.listProjects(organizationScope(request), { limit, after })
    },
  )
}
