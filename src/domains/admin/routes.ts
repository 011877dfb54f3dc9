import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { actingOf } from '../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../http/schemas.ts'
import { FreezeInput, OrganizationOverview, OverviewPage, OverviewQuery } from './schemas.ts'
import type { AdminService } from './service.ts'

const ORGANIZATIONS = '/v1/admin/organizations'
const ORGANIZATION = `${ORGANIZATIONS}/:organizationId`
const config = { access: 'operator' } as const
const tags = ['Platform']

export const adminRoutes: FastifyPluginAsyncTypebox<{ admin: AdminService }> = async (app, { admin }) => {
  app.get(
    ORGANIZATIONS,
    {
      config,
      schema: {
        operationId: 'adminListOrganizations',
        summary: 'List all organizations',
        description: `With plan, usage of the period, quota, invoices and last event of each; the oldest first. For the operator of the platform; to
everybody else the route is not there.`,
        tags,
        querystring: OverviewQuery,
        response: { 200: OverviewPage, ...problemResponses(400, 404, 429, 503) },
      },
    },
    (request) => {
      const { cursor: after = '', name = '', ...query } = request.query
      return admin.list({ ...query, after, name })
    },
  )

  app.get(
    ORGANIZATION,
    {
      config,
      schema: {
        operationId: 'adminReadOrganization',
        summary: 'Read any organization',
        description: 'For the operator of the platform; to everybody else the route is not there.',
        tags,
        params: OrganizationParams,
        response: { 200: OrganizationOverview, ...problemResponses(400, 404, 429, 503) },
      },
    },
    (request) => admin.read(request.params.organizationId),
  )

  app.post(
    `${ORGANIZATION}/freeze`,
    {
      config,
      schema: {
        operationId: 'adminFreezeOrganization',
        summary: 'Freeze an organization',
        description: `Within five seconds its keys are refused everywhere (403 \`organization.frozen\`), and its members with their next request.
They still read the organization, its members, its audit log, its usage and what became of what was sent, and may leave. What was sent before stays.
For the operator of the platform; to everybody else the route is not there.`,
        tags,
        params: OrganizationParams,
        body: FreezeInput,
        response: { 200: OrganizationOverview, ...problemResponses(400, 404, 409, 413, 415, 429, 503) },
      },
    },
    (request) => admin.freeze(request.params.organizationId, request.body.reason, actingOf(request)),
  )

  app.post(
    `${ORGANIZATION}/unfreeze`,
    {
      config,
      schema: {
        operationId: 'adminUnfreezeOrganization',
        summary: 'Let a frozen organization go on',
        description: 'For the operator of the platform; to everybody else the route is not there.',
        tags,
        params: OrganizationParams,
        response: { 200: OrganizationOverview, ...problemResponses(400, 404, 409, 413, 415, 429, 503) },
      },
    },
    (request) => admin.unfreeze(request.params.organizationId, actingOf(request)),
  )
}
