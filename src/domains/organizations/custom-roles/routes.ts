import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { organizationScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import { PermissionList, RoleChange, RoleInput, RoleList, RoleParams, RoleSchema } from '../schemas.ts'
import { PERMISSION_CATALOG } from './catalog.ts'
import type { RolesService } from './service.ts'

const ROLES = '/v1/organizations/:organizationId/roles'
const ROLE = `${ROLES}/:roleId`

export const roleRoutes: FastifyPluginAsyncTypebox<{ roles: RolesService }> = async (app, { roles }) => {
  app.get(
    '/v1/permissions',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'listPermissions',
        summary: 'List all permissions',
        description: 'What roles and keys can be allowed to do.',
        tags: ['Organizations'],
        response: { 200: PermissionList, ...problemResponses(400, 401, 403, 429, 503) },
      },
    },
    () => ({ data: PERMISSION_CATALOG }),
  )

  app.get(
    ROLES,
    {
      config: { access: 'members:read' },
      schema: {
        operationId: 'listRoles',
        summary: 'List the roles',
        description: 'The built-in ones, then those that the organization made, with what each allows.',
        tags: ['Organizations'],
        params: OrganizationParams,
        response: { 200: RoleList, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => roles.listRoles(organizationScope(request)),
  )

  app.post(
    ROLES,
    {
      config: { access: 'roles:write' },
      schema: {
        operationId: 'createRole',
        summary: 'Make a role',
        description: 'For owners and admins. It can allow only what your own role allows (403).',
        tags: ['Organizations'],
        params: OrganizationParams,
        body: RoleInput,
        response: {
          201: { ...RoleSchema, description: 'The new role.' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
        },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await roles.makeRole(organizationScope(request), request.body, actingOf(request))),
  )

  app.patch(
    ROLE,
    {
      config: { access: 'roles:write' },
      schema: {
        operationId: 'changeRole',
        summary: 'Change a role',
        description:
          'Counts from the next request of everybody who has it. Nobody changes a role that may do what they may not (403).',
        tags: ['Organizations'],
        params: RoleParams,
        body: RoleChange,
        response: { 200: RoleSchema, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    (request) => roles.changeRole(organizationScope(request), request.params.roleId, request.body, actingOf(request)),
  )

  app.delete(
    ROLE,
    {
      config: { access: 'roles:write' },
      schema: {
        operationId: 'deleteRole',
        summary: 'Delete a role',
        description: 'Only one that no member has (409).',
        tags: ['Organizations'],
        params: RoleParams,
        response: {
          204: Type.Null({ description: 'Deleted.' }),
          ...problemResponses(400, 401, 403, 404, 409, 429, 503),
        },
      },
    },
    async (request, reply) => {
      await roles.deleteRole(organizationScope(request), request.params.roleId, actingOf(request))
      return reply.code(204).send(null)
    },
  )
}
