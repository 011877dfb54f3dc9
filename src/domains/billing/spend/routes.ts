import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { organizationScope } from '../../../http/access.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import type { SpendPartsService } from './parts/service.ts'
import { PartsQuery, SpendAnswer, SpendParts, SpendQuery } from './schemas.ts'
import type { SpendService } from './service.ts'

const SPEND = '/v1/organizations/:organizationId/spend'
const config = { access: 'billing:read', whileFrozen: true } as const
const common = { tags: ['Billing'], params: OrganizationParams }
const problems = problemResponses(400, 401, 403, 404, 409, 429, 503)
const CSV = {
  description: 'RFC 4180, one line for each after a line of names, amounts in minor units.',
  content: { 'text/csv': { schema: Type.Any({ examples: ['event,meter,value,events,amount\r\n'] }) } },
}

interface Options {
  spend: SpendService
  parts: SpendPartsService
}

export const spendRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { spend, parts }) => {
  app.get(
    SPEND,
    {
      config,
      schema: {
        ...common,
        operationId: 'listSpend',
        summary: 'See what was spent in each period',
        description:
          'The last billing periods with what their invoices say, and with what those come to so far that are not billed yet.',
        querystring: SpendQuery,
        response: { 200: SpendAnswer, ...problems },
      },
    },
    async (request) => ({
      data: await spend.periods(organizationScope(request).organizationId, request.query.limit),
    }),
  )

  app.get(
    `${SPEND}/export`,
    {
      config,
      schema: {
        ...common,
        operationId: 'exportSpend',
        summary: 'Export what was spent in each period',
        description: 'The same lines as CSV.',
        querystring: SpendQuery,
        response: { 200: CSV, ...problems },
      },
    },
    async (request, reply) =>
      asFile(reply, 'spend.csv').send(await spend.csv(organizationScope(request).organizationId, request.query.limit)),
  )

  app.get(
    `${SPEND}/parts`,
    {
      config,
      schema: {
        ...common,
        operationId: 'readSpendParts',
        summary: 'See what usage was spent on',
        description: `What the usage of a period costs, split among its projects or events by what each of them used, from the events that are on
the invoice. The lines sum to the whole, to the last cent.`,
        querystring: PartsQuery,
        response: { 200: SpendParts, ...problems },
      },
    },
    (request) => parts.read(organizationScope(request).organizationId, request.query),
  )

  app.get(
    `${SPEND}/parts/export`,
    {
      config,
      schema: {
        ...common,
        operationId: 'exportSpendParts',
        summary: 'Export what usage was spent on',
        description:
          'The same lines as CSV. A cell that a spreadsheet would take for a formula begins with an apostrophe.',
        querystring: PartsQuery,
        response: { 200: CSV, ...problems },
      },
    },
    async (request, reply) =>
      asFile(reply, 'spend.csv').send(await parts.csv(organizationScope(request).organizationId, request.query)),
  )
}

const asFile = (reply: FastifyReply, name: string) =>
  reply.type('text/csv; charset=utf-8; header=present').header('content-disposition', `attachment; filename="${name}"`)
