import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../http/access.ts'
import { actingOf } from '../../http/acting.ts'
import { perAddress } from '../../http/limits.ts'
import { personOf } from '../../http/person.ts'
import { OrganizationParams, problemResponses } from '../../http/schemas.ts'
import { OrganizationInput, OrganizationPage, OrganizationSchema, PageQuery } from './schemas.ts'
import type { OrganizationsService } from './service.ts'

interface OrganizationRouteOptions {
  organizations: OrganizationsService
}

export const organizationRoutes: FastifyPluginAsyncTypebox<OrganizationRouteOptions> = async (app, options) => {
  const { organizations } = options

  app.post(
    '/v1/organizations',
    {
      config: { access: 'self', rateLimit: perAddress('organizations', 20) },
      schema: {
        operationId: 'createOrganization',
        summary: 'Make an organization',
        description: 'Whoever makes it is its owner. It has no project yet.',
        tags: ['Organizations'],
        body: OrganizationInput,
        response: { 201: OrganizationSchema, ...problemResponses(400, 401, 403, 413, 415, 429, 503) },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await organizations.create(request.body.name, personOf(request).userId, actingOf(request))),
  )

  app.get(
    '/v1/organizations',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'listOrganizations',
        summary: 'List your organizations',
        description: 'Those that you are a member of, each with your role, oldest first.',
        tags: ['Organizations'],
        querystring: PageQuery('org'),
        response: { 200: OrganizationPage, ...problemResponses(400, 401, 403, 429, 503) },
      },
    },
    (request) => {
      const { limit, cursor: after = '' } = request.query
      return organizations.listOrganizations(personOf(request).userId, { limit, after })
    },
  )

  app.get(
    '/v1/organizations/:organizationId',
    {
      config: { access: 'organizations:read' },
      schema: {
        operationId: 'readOrganization',
        summary: 'Read an organization',
        description: 'Its name, and your role in it.',
        tags: ['Organizations'],
        params: OrganizationParams,
        response: { 200: OrganizationSchema, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => organizations.readOrganization(organizationScope(request)),
  )

  app.patch(
    '/v1/organizations/:organizationId',
    {
      config: { access: 'organizations:write' },
      schema: {
        operationId: 'changeOrganization',
        summary: 'Rename an organization',
        description: 'For owners and admins.',
        tags: ['Organizations'],
        params: OrganizationParams,
        body: OrganizationInput,
        response: { 200: OrganizationSchema, ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    (request) => organizations.renameOrganization(organizationScope(request), request.body.name, actingOf(request)),
  )
}
