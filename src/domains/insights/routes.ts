import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { projectScope } from '../../http/access.ts'
import { ProjectParams, problemResponses } from '../../http/schemas.ts'
import {
  EventNamesAnswer,
  EventNamesQuery,
  PropertiesAnswer,
  PropertiesQuery,
  ValuesAnswer,
  ValuesQuery,
} from './catalog-schemas.ts'
import { refuse } from './errors.ts'
import { EventsAnswer, EventsQuery } from './explorer-schemas.ts'
import { QUERY_KINDS, Query, TrendAnswer, UsageAnswer, UsageQuery } from './schemas.ts'
import type { InsightsService } from './service.ts'

const config = { access: 'query:read' } as const
const problems = problemResponses(400, 401, 403, 404, 413, 415, 422, 429, 503)
const common = { tags: ['Queries'], params: ProjectParams }

export const insightsRoutes: FastifyPluginAsyncTypebox<{ insights: InsightsService }> = async (app, { insights }) => {
  app.post(
    '/v1/projects/:projectId/query',
    {
      config,
      schema: {
        ...common,
        operationId: 'query',
        summary: 'Ask a question',
        description: `Answers a query of one kind; there is \`trend\`: one or more series over time. Every bucket is present, every event counts
once, totals are exact. A query that needs too much is stopped and answered with 422 \`query.too_expensive\`.`,
        body: Query,
        response: { 200: TrendAnswer, ...problems },
      },
      preValidation: async ({ body }) => checkKind(body),
    },
    (request) => insights.trend(projectScope(request), request.body),
  )

  app.get(
    '/v1/projects/:projectId/usage',
    {
      config: { ...config, whileFrozen: true },
      schema: {
        ...common,
        operationId: 'getUsage',
        summary: 'Count events over time',
        description:
          'Events and billable events per hour, day or month in UTC, by timestamp, each event once. Every stored event is billable.',
        querystring: UsageQuery,
        response: { 200: UsageAnswer, ...problems },
      },
    },
    (request) => insights.usage(projectScope(request), request.query),
  )

  app.get(
    '/v1/projects/:projectId/events',
    {
      config,
      schema: {
        ...common,
        operationId: 'listEvents',
        summary: 'List events',
        description: `Full events, newest timestamp first. Without \`from\` the list goes back to the first event. Pages are stable: events that
arrive later do not shift them. A cursor is good only for the search that it came from.`,
        querystring: EventsQuery,
        response: { 200: EventsAnswer, ...problems },
      },
    },
    (request) => insights.events(projectScope(request), request.query),
  )

  app.get(
    '/v1/projects/:projectId/schema/events',
    {
      config,
      schema: {
        ...common,
        operationId: 'listEventNames',
        summary: 'List event names',
        description: 'The names that events have within the range, with their counts.',
        querystring: EventNamesQuery,
        response: { 200: EventNamesAnswer, ...problems },
      },
    },
    (request) => insights.eventNames(projectScope(request), request.query),
  )

  app.get(
    '/v1/projects/:projectId/schema/properties',
    {
      config,
      schema: {
        ...common,
        operationId: 'listProperties',
        summary: 'List properties',
        description: `The fields inside of properties, traits and context, and those that were added on arrival, in a sample of the latest events of
the range, with their JSON types.
Objects are opened three levels deep.`,
        querystring: PropertiesQuery,
        response: { 200: PropertiesAnswer, ...problems },
      },
    },
    (request) => insights.properties(projectScope(request), request.query),
  )

  app.get(
    '/v1/projects/:projectId/schema/values',
    {
      config,
      schema: {
        ...common,
        operationId: 'listValues',
        summary: 'List values of a field',
        description: 'The most frequent values of a field within the range, with their exact counts.',
        querystring: ValuesQuery,
        response: { 200: ValuesAnswer, ...problems },
      },
    },
    (request) => insights.values(projectScope(request), request.query),
  )
}

/** Before the schemas, because each of them would report that the query is not one of its kind. */
function checkKind(body: unknown): void {
  if (typeof body !== 'object' || body === null) return
  const kind = 'kind' in body ? body.kind : undefined
  if (!QUERY_KINDS.some((known) => known === kind)) refuse('/kind', `must be one of ${QUERY_KINDS.join(', ')}`)
}
