import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { noSuchRoute } from '../../../../errors.ts'
import { problemResponses } from '../../../../http/schemas.ts'
import type { IntakeService } from './service.ts'

/** Larger than any event of the objects that we follow. */
const BODY_BYTES_MAX = 512 * 1024

const Received = Type.Object(
  { received: Type.Literal(true) },
  { description: 'The event is written down.', examples: [{ received: true }] },
)

interface WebhookOptions {
  /** Undefined where nobody pays through Stripe: the route is then not there. */
  intake: IntakeService | undefined
}

/** In a scope of its own, since the signature is over the bytes as they came: nothing may parse them first. */
export const stripeWebhook: FastifyPluginAsyncTypebox<WebhookOptions> = async (app, { intake }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  app.post(
    '/v1/stripe/webhook',
    {
      bodyLimit: BODY_BYTES_MAX,
      // Stripe sends in bursts from few addresses; what it has not signed costs one hash.
      config: { access: 'public', isForPrograms: true, rateLimit: false },
      schema: {
        operationId: 'receiveStripeEvent',
        summary: 'Receive an event of Stripe’s',
        description: `For Stripe alone: the body has to be signed with the secret of the endpoint (Stripe-Signature), at most five minutes ago. The answer
comes when the event is written down; what it leads to follows.`,
        tags: ['Billing'],
        response: { 200: Received, ...problemResponses(400, 404, 413, 415, 503) },
      },
    },
    async (request) => {
      if (!intake) throw noSuchRoute(request)
      const payload = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      await intake.take(payload, String(request.headers['stripe-signature'] ?? ''))
      return { received: true as const }
    },
  )
}
