import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { problemResponses } from '../../../http/schemas.ts'
import { PlanPage, PlanParams, PlanSchema } from './schemas.ts'
import type { CatalogService } from './service.ts'

/** Offers are the same for everybody and change rarely, so a browser or a proxy may keep them. */
const CACHED = 'public, max-age=300'

export const catalogRoutes: FastifyPluginAsyncTypebox<{ catalog: CatalogService }> = async (app, { catalog }) => {
  app.get(
    '/v1/plans',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'listPlans',
        summary: 'List the plans',
        description:
          'Everything that is on offer, with its prices and limits, in the order in which it is shown. Needs no credential.',
        tags: ['Billing'],
        response: { 200: PlanPage, ...problemResponses(429, 503) },
      },
    },
    async (_request, reply) => {
      const data = await catalog.listPlans()
      return reply.header('cache-control', CACHED).send({ data, nextCursor: null })
    },
  )

  app.get(
    '/v1/plans/:planKey',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'readPlan',
        summary: 'Read a plan',
        description: 'The newest version of one plan that is on offer. Needs no credential.',
        tags: ['Billing'],
        params: PlanParams,
        response: { 200: PlanSchema, ...problemResponses(400, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const plan = await catalog.readPlan(request.params.planKey)
      return reply.header('cache-control', CACHED).send(plan)
    },
  )
}
