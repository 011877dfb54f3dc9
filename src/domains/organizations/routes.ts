import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../http/access.ts'
import { actingOf } from '../../http/acting.ts'
import { perAddress } from '../../http/limits.ts'
import { personOf } from '../../http/person.ts'
import { OrganizationParams, problemResponses } from '../../http/schemas.ts'
import type { DeletionService } from './deletion/service.ts'
import {
  Deletion,
  OrganizationChange,
  OrganizationInput,
  OrganizationPage,
  OrganizationSchema,
  PageQuery,
} from './schemas.ts'
import type { OrganizationsService } from './service.ts'

interface OrganizationRouteOptions {
  deletion: DeletionService
  organizations: OrganizationsService
}

export const organizationRoutes: FastifyPluginAsyncTypebox<OrganizationRouteOptions> = async (app, options) => {
  const { organizations, deletion } = options

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
      config: { access: 'organizations:read', whileFrozen: true },
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
        summary: 'Change an organization',
        description:
          'For owners and admins: its name, and whether it asks for a second factor, which whoever turns that on needs to have. Members without one are then refused within five seconds, open sockets included; they can enroll and they can leave. Keys go on.',
        tags: ['Organizations'],
        params: OrganizationParams,
        body: OrganizationChange,
        response: { 200: OrganizationSchema, ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    (request) => organizations.changeOrganization(organizationScope(request), request.body, actingOf(request)),
  )

  app.delete(
    '/v1/organizations/:organizationId',
    {
      config: { access: 'organizations:write' },
      schema: {
        operationId: 'deleteOrganization',
        summary: 'Delete an organization',
        description:
          'For owners. Its keys stop acting within five seconds, and its members go on reading. When the grace is over (30 days, unless configured otherwise), all of it is deleted, events included.',
        tags: ['Organizations'],
        params: OrganizationParams,
        body: Deletion,
        response: { 202: OrganizationSchema, ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await deletion.ask(organizationScope(request), request.body.name, actingOf(request))),
  )

  app.post(
    '/v1/organizations/:organizationId/restore',
    {
      config: { access: 'organizations:write' },
      schema: {
        operationId: 'restoreOrganization',
        summary: 'Take the deletion of an organization back',
        description: 'For owners, as long as the grace lasts. Its keys act again within five seconds.',
        tags: ['Organizations'],
        params: OrganizationParams,
        response: { 200: OrganizationSchema, ...problemResponses(400, 401, 403, 404, 409, 429, 503) },
      },
    },
    (request) => deletion.cancel(organizationScope(request), actingOf(request)),
  )
}
