import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { personOf } from '../../../../http/person.ts'
import { problemResponses } from '../../../../http/schemas.ts'
import { PlanSchema, PlanParams as params } from '../../catalog/schemas.ts'
import type { CatalogService } from '../../catalog/service.ts'
import { OfferedPlan, OfferInput, PlanVersionInput } from '../schemas.ts'

const PLAN = '/v1/admin/plans/:planKey'
const config = { access: 'operator' } as const
const tags = ['Platform']
const HIDDEN = 'For the operator of the platform; to everybody else the route is not there.'

/** What is on offer. A version says who made it; no organization is concerned before it subscribes. */
export const planRoutes: FastifyPluginAsyncTypebox<{ catalog: CatalogService }> = async (app, { catalog }) => {
  app.get(
    PLAN,
    {
      config,
      schema: {
        operationId: 'adminReadPlan',
        summary: 'Read any plan',
        description: `The newest version of a plan, on offer or not. ${HIDDEN}`,
        tags,
        params,
        response: { 200: PlanSchema, ...problemResponses(400, 404, 429, 503) },
      },
    },
    (request) => catalog.planVersion(request.params.planKey),
  )

  app.post(
    `${PLAN}/versions`,
    {
      config,
      schema: {
        operationId: 'adminAddPlanVersion',
        summary: 'Add a version of a plan',
        description: `Subscriptions stay on the version that they have. A new plan is not on offer yet. ${HIDDEN}`,
        tags,
        params,
        body: PlanVersionInput,
        response: { 201: PlanSchema, ...problemResponses(400, 404, 409, 413, 415, 422, 429, 503) },
      },
    },
    async (request, reply) => {
      const version = { ...request.params, ...request.body }
      return reply.code(201).send(await catalog.createPlanVersion(version, personOf(request).userId))
    },
  )

  app.patch(
    PLAN,
    {
      config,
      schema: {
        operationId: 'adminOfferPlan',
        summary: 'Put a plan on offer, or take it off',
        description: `Each process shows it within half a minute. ${HIDDEN}`,
        tags,
        params,
        body: OfferInput,
        response: { 200: OfferedPlan, ...problemResponses(400, 404, 413, 415, 429, 503) },
      },
    },
    async (request) => {
      const { planKey: key } = request.params
      const { offered } = request.body
      await catalog.offerPlan(key, offered)
      return { key, offered }
    },
  )
}
