import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { organizationScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import { AlertInput, AlertPage, AlertParams, AlertSchema } from './schemas.ts'
import type { AlertsService } from './service.ts'

const ALERTS = '/v1/organizations/:organizationId/usage/alerts'
const tags = ['Billing']

export const alertRoutes: FastifyPluginAsyncTypebox<{ alerts: AlertsService }> = async (app, { alerts }) => {
  app.get(
    ALERTS,
    {
      config: { access: 'billing:read', whileFrozen: true },
      schema: {
        operationId: 'listUsageAlerts',
        summary: 'List the usage alerts',
        description: `What owners, and the address for bills, are mailed when usage crosses it; each once in a billing period. Everybody has 50, 80,
90 and 100 % of what is limited or included, and a forecast above it.`,
        tags,
        params: OrganizationParams,
        response: { 200: AlertPage, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request) => ({ data: await alerts.list(organizationScope(request).organizationId), nextCursor: null }),
  )

  app.post(
    ALERTS,
    {
      config: { access: 'billing:write' },
      schema: {
        operationId: 'createUsageAlert',
        summary: 'Make a usage alert',
        description: 'It is compared within a few minutes, with what the open period has used already, too.',
        tags,
        params: OrganizationParams,
        body: AlertInput,
        response: {
          201: { ...AlertSchema, description: 'The new alert.' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const { organizationId } = organizationScope(request)
      return reply.code(201).send(await alerts.create(organizationId, request.body, actingOf(request)))
    },
  )

  app.delete(
    `${ALERTS}/:alertId`,
    {
      config: { access: 'billing:write' },
      schema: {
        operationId: 'deleteUsageAlert',
        summary: 'Delete a usage alert',
        description: 'What it has told stays told: made again, it says nothing twice in a period.',
        tags,
        params: AlertParams,
        response: {
          204: Type.Null({ description: 'It is gone.' }),
          ...problemResponses(400, 401, 403, 404, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const { organizationId } = organizationScope(request)
      await alerts.delete(organizationId, request.params.alertId, actingOf(request))
      return reply.code(204).send(null)
    },
  )
}
