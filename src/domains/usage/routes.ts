import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { projectScope } from '../../http/access.ts'
import { ProjectParams, problemResponses } from '../../http/schemas.ts'
import type { Ingestion } from './ingestion.ts'
import { IngestionAnswer, IngestionQuery } from './schemas.ts'

export const usageRoutes: FastifyPluginAsyncTypebox<{ ingestion: Ingestion }> = async (app, { ingestion }) => {
  app.get(
    '/v1/projects/:projectId/ingestion',
    {
      config: { access: 'query:read', whileFrozen: true },
      schema: {
        tags: ['Queries'],
        params: ProjectParams,
        operationId: 'getIngestion',
        summary: 'See what became of what was sent',
        description: `Per day of receipt, in UTC: what the door accepted, recognized, refused and set aside, and what the event store shows.
\`accepted\` exceeds \`stored\` by what is still on its way (\`lagSeconds\`), by \`deadLetters\`, and by events that were sent again after
the door had forgotten them (METERHOUSE_DEDUPLICATION_WINDOW_MINUTES): the door takes those once more, and queries and usage show them
once. The counts of the door are written every second.`,
        querystring: IngestionQuery,
        response: { 200: IngestionAnswer, ...problemResponses(400, 401, 403, 404, 422, 429, 503) },
      },
    },
    (request) => ingestion(projectScope(request), request.query),
  )
}
