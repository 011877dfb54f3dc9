import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../../http/access.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import { UsageSummary } from './schemas.ts'
import type { SummaryService } from './summary/service.ts'

export const outlookRoutes: FastifyPluginAsyncTypebox<{ summary: SummaryService }> = async (app, { summary }) => {
  app.get(
    '/v1/organizations/:organizationId/usage/summary',
    {
      config: { access: 'billing:read', whileFrozen: true },
      schema: {
        operationId: 'readUsageSummary',
        summary: 'See how the billing period stands',
        description:
          'What was used of what there is, what it costs so far, and what both will come to at the end of the period.',
        tags: ['Billing'],
        params: OrganizationParams,
        response: { 200: UsageSummary, ...problemResponses(400, 401, 403, 404, 409, 429, 503) },
      },
    },
    (request) => summary.read(organizationScope(request).organizationId),
  )
}
