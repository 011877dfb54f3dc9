import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../../http/access.ts'
import { type Acting, actingOf } from '../../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import type { ChangesService } from './changes/service.ts'
import { ChangePreview, PlanChoice, type Subscription, SubscriptionSchema } from './schemas.ts'

const SUBSCRIPTION = '/v1/organizations/:organizationId/subscription'
const tags = ['Billing']
const params = OrganizationParams

/** A decision that has nothing to say but itself. */
interface Decision {
  path: string
  operationId: string
  summary: string
  description: string
  decide: (organizationId: string, by: Acting) => Promise<Subscription>
}

const decisionsOf = (changes: ChangesService): Decision[] => [
  {
    path: 'withdraw',
    operationId: 'withdrawPlanChange',
    summary: 'Withdraw a change of plan',
    description: 'Takes a change back that waits for the end of the period.',
    decide: changes.withdraw,
  },
  {
    path: 'cancel',
    operationId: 'cancelSubscription',
    summary: 'Cancel the subscription',
    description: 'It ends with its period; then the organization is on the plan that costs nothing.',
    decide: changes.cancel,
  },
  {
    path: 'reactivate',
    operationId: 'reactivateSubscription',
    summary: 'Take a cancellation back',
    description: 'As long as the period lasts.',
    decide: changes.reactivate,
  },
  {
    path: 'pause',
    operationId: 'pauseSubscription',
    summary: 'Pause the subscription',
    description:
      'No event is taken from now on. The period runs out as it was paid, and no other follows until you resume.',
    decide: changes.pause,
  },
  {
    path: 'resume',
    operationId: 'resumeSubscription',
    summary: 'Resume the subscription',
    description:
      'Within the period that was paid it goes on; later a new period begins now, and its base price is due.',
    decide: changes.resume,
  },
]

export const subscriptionRoutes: FastifyPluginAsyncTypebox<{ changes: ChangesService }> = async (app, { changes }) => {
  app.get(
    SUBSCRIPTION,
    {
      config: { access: 'billing:read', whileFrozen: true },
      schema: {
        operationId: 'readSubscription',
        summary: 'Read the subscription',
        description: 'The plan that the organization is on, its billing period, and what waits for the end of it.',
        tags,
        params,
        response: { 200: SubscriptionSchema, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => changes.read(organizationScope(request).organizationId),
  )

  app.get(
    `${SUBSCRIPTION}/change-preview`,
    {
      config: { access: 'billing:read', whileFrozen: true },
      schema: {
        operationId: 'previewPlanChange',
        summary: 'Preview a change of plan',
        description: 'What changing to the plan at this moment would cost, to the cent, and when it would take effect.',
        tags,
        params,
        querystring: PlanChoice,
        response: { 200: ChangePreview, ...problemResponses(400, 401, 403, 404, 409, 429, 503) },
      },
    },
    (request) => changes.preview(organizationScope(request).organizationId, request.query.planKey),
  )

  app.post(
    `${SUBSCRIPTION}/change`,
    {
      config: { access: 'billing:write' },
      schema: {
        operationId: 'changePlan',
        summary: 'Change the plan',
        description: `A plan that costs no less takes effect now: what is left of the period is charged, less what is left of the plan before, by the second.
A cheaper one takes effect when the period ends. A plan with a trial that was not had yet begins with it.`,
        tags,
        params,
        body: PlanChoice,
        response: { 200: SubscriptionSchema, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    (request) => changes.changePlan(organizationScope(request).organizationId, request.body.planKey, actingOf(request)),
  )

  for (const { path, decide, ...described } of decisionsOf(changes)) {
    app.post(
      `${SUBSCRIPTION}/${path}`,
      {
        config: { access: 'billing:write' },
        schema: {
          ...described,
          tags,
          params,
          response: { 200: SubscriptionSchema, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
        },
      },
      (request) => decide(organizationScope(request).organizationId, actingOf(request)),
    )
  }
}
