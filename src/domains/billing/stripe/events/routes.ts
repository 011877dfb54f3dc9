import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { actingOf } from '../../../../http/acting.ts'
import { personOf } from '../../../../http/person.ts'
import { problemResponses } from '../../../../http/schemas.ts'
import { StripeEventPage, StripeEventParams, StripeEventQuery, StripeEventView } from './schemas.ts'
import type { StripeEventsService } from './service.ts'

const EVENTS = '/v1/admin/stripe/events'
const config = { access: 'operator' } as const
const tags = ['Platform']
const OPERATOR = 'For the operator of the platform; to everybody else the route is not there.'

export const stripeEventRoutes: FastifyPluginAsyncTypebox<{ events: StripeEventsService }> = async (
  app,
  { events },
) => {
  app.get(
    EVENTS,
    {
      config,
      schema: {
        operationId: 'adminListStripeEvents',
        summary: 'List events of Stripe’s',
        description: `Those that were set aside after ten attempts, unless others are asked for. ${OPERATOR}`,
        tags,
        querystring: StripeEventQuery,
        response: { 200: StripeEventPage, ...problemResponses(400, 404, 429, 503) },
      },
    },
    ({ query: { status = 'dead', limit, cursor } }) => events.list({ status, limit, cursor }),
  )

  app.post(
    `${EVENTS}/:eventId/replay`,
    {
      config,
      schema: {
        operationId: 'adminReplayStripeEvent',
        summary: 'Process an event of Stripe’s again',
        description: `What it is about is read from Stripe once more, with ten more attempts. ${OPERATOR}`,
        tags,
        params: StripeEventParams,
        response: { 200: StripeEventView, ...problemResponses(400, 404, 413, 415, 429, 503) },
      },
    },
    async (request) => {
      const event = await events.replay(request.params.eventId, { ...actingOf(request), asOperator: true })
      request.log.info(
        { eventId: event.id, operatorId: personOf(request).userId },
        'an event of Stripe is processed again',
      )
      return event
    },
  )
}
