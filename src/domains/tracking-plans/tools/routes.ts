import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { projectScope } from '../../../http/access.ts'
import { ProjectParams, problemResponses } from '../../../http/schemas.ts'
import type { CheckingService } from '../service.ts'
import * as Tools from '../tool-schemas.ts'

const BASE = '/v1/projects/:projectId/tracking-plan'
const read = { access: 'tracking_plan:read' } as const
const write = { access: 'tracking_plan:write' } as const
const common = { tags: ['Tracking plans'], params: ProjectParams }
const readProblems = problemResponses(400, 401, 403, 404, 429, 503)

/** What helps to make a plan and to keep to it. */
export const toolRoutes: FastifyPluginAsyncTypebox<{ trackingPlans: CheckingService }> = async (
  app,
  { trackingPlans },
) => {
  app.post(
    `${BASE}/infer`,
    {
      config: write,
      schema: {
        ...common,
        operationId: 'inferSchemas',
        summary: 'Propose schemas from stored events',
        description:
          'Looks at the newest events of the last 30 days, or of the given time, and proposes a schema for each name that all of them meet. Publishes nothing. No value of an event is in the answer, except short texts of which there are few and each of which at least five people have sent.',
        querystring: Tools.InferQuery,
        response: { 200: Tools.InferAnswer, ...problemResponses(400, 401, 403, 404, 413, 415, 422, 429, 503) },
      },
    },
    (request) => trackingPlans.infer(projectScope(request), request.query),
  )

  app.post(
    `${BASE}/check`,
    {
      config: read,
      schema: {
        ...common,
        operationId: 'checkEvents',
        summary: 'Check events without sending them',
        description: 'Says what the plan would do with each event. Nothing is stored and nothing is counted.',
        body: Tools.CheckInput,
        response: { 200: Tools.CheckAnswer, ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    (request) => trackingPlans.check(projectScope(request), request.body.events),
  )

  app.get(
    `${BASE}/violations`,
    {
      config: read,
      schema: {
        ...common,
        operationId: 'listViolations',
        summary: 'Count violations',
        description: 'How many events broke the plan where and how, about a second after they came. Kept for 30 days.',
        querystring: Tools.ViolationsQuery,
        response: { 200: Tools.ViolationsAnswer, ...readProblems },
      },
    },
    (request) => trackingPlans.violations(projectScope(request), request.query),
  )

  app.get(
    `${BASE}/types`,
    {
      config: read,
      schema: {
        ...common,
        operationId: 'getTrackingPlanTypes',
        summary: 'Generate TypeScript types',
        description: 'Declarations of every event of the plan and of a `track` function that takes nothing else.',
        response: { 200: Tools.TypesAnswer, ...readProblems },
      },
    },
    async (request, reply) =>
      reply.type('application/typescript; charset=utf-8').send(await trackingPlans.types(projectScope(request))),
  )
}
