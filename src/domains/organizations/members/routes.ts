import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { organizationScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import { MemberChange, MemberPage, MemberParams, MemberSchema, PageQuery, Transfer } from '../schemas.ts'
import type { MembersService } from './service.ts'

export const memberRoutes: FastifyPluginAsyncTypebox<{ members: MembersService }> = async (app, { members }) => {
  app.get(
    '/v1/organizations/:organizationId/members',
    {
      config: { access: 'members:read', whileFrozen: true },
      schema: {
        operationId: 'listMembers',
        summary: 'List the members',
        description: 'Who belongs to the organization and as what, in the order in which they came.',
        tags: ['Organizations'],
        params: OrganizationParams,
        querystring: PageQuery('mem'),
        response: { 200: MemberPage, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => {
      const { limit, cursor: after = '' } = request.query
      return members.listMembers(organizationScope(request), { limit, after })
    },
  )

  app.patch(
    '/v1/organizations/:organizationId/members/:userId',
    {
      config: { access: 'members:write' },
      schema: {
        operationId: 'changeMember',
        summary: 'Change the role of a member',
        description:
          'Counts from the next request of the member. Nobody gives or takes a role above their own; the only owner stays one (409).',
        tags: ['Organizations'],
        params: MemberParams,
        body: MemberChange,
        response: { 200: MemberSchema, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    (request) =>
      members.changeRole(organizationScope(request), request.params.userId, request.body.role, actingOf(request)),
  )

  app.delete(
    '/v1/organizations/:organizationId/members/:userId',
    {
      config: { access: 'members:write' },
      schema: {
        operationId: 'removeMember',
        summary: 'Remove a member',
        description:
          'Counts from the next request of the member; live connections close within five seconds. The only owner stays (409).',
        tags: ['Organizations'],
        params: MemberParams,
        response: {
          204: Type.Null({ description: 'Removed.' }),
          ...problemResponses(400, 401, 403, 404, 409, 429, 503),
        },
      },
    },
    async (request, reply) => {
      await members.removeMember(organizationScope(request), request.params.userId, actingOf(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/organizations/:organizationId/leave',
    {
      config: { access: 'organizations:read', whileFrozen: true, withoutSecondFactor: true },
      schema: {
        operationId: 'leaveOrganization',
        summary: 'Leave an organization',
        description: 'Ends your own membership, whatever your role. The only owner makes another one first (409).',
        tags: ['Organizations'],
        params: OrganizationParams,
        response: { 204: Type.Null({ description: 'Left.' }), ...problemResponses(400, 401, 403, 404, 409, 429, 503) },
      },
    },
    async (request, reply) => {
      await members.leave(organizationScope(request), actingOf(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/organizations/:organizationId/transfer',
    {
      config: { access: 'members:write' },
      schema: {
        operationId: 'transferOrganization',
        summary: 'Hand an organization over',
        description: 'For owners. In one step the other member is an owner and you are an admin.',
        tags: ['Organizations'],
        params: OrganizationParams,
        body: Transfer,
        response: { 200: MemberSchema, ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    (request) => members.transfer(organizationScope(request), request.body.userId, actingOf(request)),
  )
}
