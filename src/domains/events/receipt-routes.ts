import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { projectScope } from '../../http/access.ts'
import { problemResponses } from '../../http/schemas.ts'
import { Receipt, type Receipts } from './receipts.ts'
import { LIMITS } from './schemas.ts'

export const receiptRoutes: FastifyPluginAsyncTypebox<{ receipts: Receipts }> = async (app, { receipts }) => {
  app.get(
    '/v1/events/:messageId/receipt',
    {
      config: { access: 'query:read' },
      schema: {
        operationId: 'getReceipt',
        summary: 'Find one event by its messageId',
        description: `Says where the event is in the key's own project. It answers 200 also for an id that it does not know. Percent-encode
the id.`,
        tags: ['Events'],
        params: Type.Object({
          messageId: Type.String({
            minLength: 1,
            maxLength: LIMITS.idLength,
            description: 'The messageId that the event was sent with.',
            examples: ['order-1001'],
          }),
        }),
        response: { 200: Receipt, ...problemResponses(400, 401, 403, 404, 422, 429, 503) },
      },
    },
    (request) => receipts(projectScope(request), request.params.messageId),
  )
}
