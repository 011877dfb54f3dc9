import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { organizationScope } from '../../../../http/access.ts'
import { OrganizationParams, problemResponses } from '../../../../http/schemas.ts'
import {
  HistoryAnswer,
  HistoryQuery,
  HourEventsAnswer,
  HourEventsQuery,
  HoursAnswer,
  HoursQuery,
  UsageAnswer,
  UsageQuery,
} from './schemas.ts'
import type { UsageReads } from './service.ts'

const USAGE = '/v1/organizations/:organizationId/usage'
const common = { tags: ['Billing'], params: OrganizationParams }
const config = { access: 'billing:read', whileFrozen: true } as const
const problems = problemResponses(400, 401, 403, 404, 422, 429, 503)
const CSV = {
  description: 'One line for each part, after a line of names.',
  content: {
    'text/csv': { schema: Type.Any({ examples: ['day,value,events,skipped\r\n2026-01-31,1200,1200,0\r\n'] }) },
  },
}

export const usageReadRoutes: FastifyPluginAsyncTypebox<{ reads: UsageReads }> = async (app, { reads }) => {
  app.get(
    USAGE,
    {
      config,
      schema: {
        ...common,
        operationId: 'readOrganizationUsage',
        summary: 'See what was used',
        description: `What a meter says of the billing period that is open, or of another span of at most 366 days, split by day, project, event,
group or meter: by the times of the events, each event once, of all projects. Values are exact decimals.`,
        querystring: UsageQuery,
        response: { 200: UsageAnswer, ...problems },
      },
    },
    (request) => reads.usage(organizationScope(request).organizationId, request.query),
  )

  app.get(
    `${USAGE}/export`,
    {
      config,
      schema: {
        ...common,
        operationId: 'exportOrganizationUsage',
        summary: 'Export what was used',
        description:
          'The same lines as CSV (RFC 4180). A cell that a spreadsheet would take for a formula begins with an apostrophe.',
        querystring: UsageQuery,
        response: { 200: CSV, ...problems },
      },
    },
    async (request, reply) =>
      reply
        .type('text/csv; charset=utf-8; header=present')
        .header('content-disposition', 'attachment; filename="usage.csv"')
        .send(await reads.csv(organizationScope(request).organizationId, request.query)),
  )

  app.get(
    `${USAGE}/periods`,
    {
      config,
      schema: {
        ...common,
        operationId: 'listUsagePeriods',
        summary: 'See what was used in each period',
        description: 'The last billing periods, each with what was received until its cut-off.',
        querystring: HistoryQuery,
        response: { 200: HistoryAnswer, ...problems },
      },
    },
    (request) => reads.history(organizationScope(request).organizationId, request.query),
  )

  app.get(
    `${USAGE}/hours`,
    {
      config,
      schema: {
        ...common,
        operationId: 'listUsageHours',
        summary: 'Open an invoice line by its hours',
        description: `With the boundaries, the version and the cut-off of a line this is what the line is made of, by hour and project: the numbers of
events sum to it, and so do the hashes, modulo 2^256. A hash is a sum as well: of the SHA-256 of each event, read as a number with its
first byte the least; of project, name, message id, time and receipt in epoch milliseconds and value, each with its length in bytes and a
colon before it.`,
        querystring: HoursQuery,
        response: { 200: HoursAnswer, ...problems },
      },
    },
    (request) => reads.hours(organizationScope(request).organizationId, request.query),
  )

  app.get(
    `${USAGE}/events`,
    {
      config: { access: 'query:read' },
      schema: {
        ...common,
        operationId: 'listUsageEvents',
        summary: 'Open an hour by its events',
        description:
          'Each event that a meter is made of in one hour of one project, also those that it skips. For those who may see events.',
        querystring: HourEventsQuery,
        response: { 200: HourEventsAnswer, ...problems },
      },
    },
    (request) => reads.events(organizationScope(request).organizationId, request.query),
  )
}
