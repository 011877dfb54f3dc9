import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { projectScope } from '../../http/access.ts'
import { actingOf } from '../../http/acting.ts'
import { ProjectParams, problemResponses } from '../../http/schemas.ts'
import {
  DiscardAnswer,
  DiscardInput,
  ItemPage,
  ItemsQuery,
  LIMITS,
  ReplayAnswer,
  ReplayInput,
  Summary,
  SummaryQuery,
} from './schemas.ts'
import type { QuarantineService } from './service.ts'

const problems = problemResponses(400, 401, 403, 404, 413, 415, 422, 429, 503)
const common = { tags: ['Quarantine'], params: ProjectParams }

export const quarantineRoutes: FastifyPluginAsyncTypebox<{ quarantine: QuarantineService }> = async (
  app,
  { quarantine },
) => {
  app.get(
    '/v1/projects/:projectId/quarantine',
    {
      config: { access: 'quarantine:read' },
      schema: {
        ...common,
        operationId: 'listQuarantine',
        summary: 'List events that were kept apart',
        description:
          'Events that the tracking plan quarantined or that the event store refused, newest receipt first, with the reason and the event as it was sent. None of them is in a chart or a bill.',
        querystring: ItemsQuery,
        response: { 200: ItemPage, ...problems },
      },
    },
    (request) => quarantine.list(projectScope(request), request.query),
  )

  app.get(
    '/v1/projects/:projectId/quarantine/summary',
    {
      config: { access: 'quarantine:read' },
      schema: {
        ...common,
        operationId: 'summarizeQuarantine',
        summary: 'Count events that were kept apart',
        description: 'Counts by reason, event name and status, by time of receipt.',
        querystring: SummaryQuery,
        response: { 200: Summary, ...problems },
      },
    },
    (request) => quarantine.summary(projectScope(request), request.query),
  )

  app.post(
    '/v1/projects/:projectId/quarantine/replay',
    {
      config: { access: 'quarantine:write' },
      schema: {
        ...common,
        operationId: 'replayQuarantine',
        summary: 'Repair events and take them in',
        description: `Repairs events by a mapping and sends them through the normal door: validation, tracking plan, admission. They keep
their messageId and their timestamp, so replaying twice, or after the sender sent a good copy itself, gives one event. It counts as
received when it is taken, against the quota and the bill of that time. Oldest first, up to ${LIMITS.itemsPerCall} per call; call again with \`nextCursor\` to go on, or with the same body after an error.`,
        body: ReplayInput,
        response: { 200: ReplayAnswer, ...problems },
      },
    },
    (request) => quarantine.replay(projectScope(request), request.body, actingOf(request)),
  )

  app.post(
    '/v1/projects/:projectId/quarantine/discard',
    {
      config: { access: 'quarantine:write' },
      schema: {
        ...common,
        operationId: 'discardQuarantine',
        summary: 'Let events go',
        description: `Closes open events without taking them in, oldest first, up to ${LIMITS.itemsPerCall} per call. They stay readable.`,
        body: DiscardInput,
        response: { 200: DiscardAnswer, ...problems },
      },
    },
    (request) => quarantine.discard(projectScope(request), request.body, actingOf(request)),
  )
}
