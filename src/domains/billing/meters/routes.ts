import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import {
  MeterInput,
  MeterPage,
  MeterParams,
  MeterQuery,
  MeterSchema,
  MeterVersionInput,
  PreviewAnswer,
  PreviewInput,
} from './schemas.ts'
import type { MetersService } from './service.ts'

const METERS = '/v1/organizations/:organizationId/meters'
const reads = { access: 'billing:read', whileFrozen: true } as const
const changes = problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503)

export const meterRoutes: FastifyPluginAsyncTypebox<{ meters: MetersService }> = async (app, { meters }) => {
  app.get(
    METERS,
    {
      config: reads,
      schema: {
        operationId: 'listMeters',
        summary: 'List the meters',
        description: 'How events become numbers: `events`, which every organization has, then those that it defined.',
        tags: ['Billing'],
        params: OrganizationParams,
        response: { 200: MeterPage, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request) => ({ data: await meters.listMeters(organizationScope(request).organizationId), nextCursor: null }),
  )

  app.post(
    METERS,
    {
      config: { access: 'billing:write' },
      schema: {
        operationId: 'createMeter',
        summary: 'Define a meter',
        description: `Counts events, or what they carry, of all projects. Sums and values are exact decimals with twelve digits after the point;
what is no JSON number, or is above 1e30, is skipped and counted as such. Prices of a plan refer to the key.`,
        tags: ['Billing'],
        params: OrganizationParams,
        body: MeterInput,
        response: { 201: { ...MeterSchema, description: 'The new meter.' }, ...changes },
      },
    },
    async (request, reply) => {
      const { organizationId } = organizationScope(request)
      return reply.code(201).send(await meters.createMeter(organizationId, request.body, actingOf(request)))
    },
  )

  app.get(
    `${METERS}/:meterKey`,
    {
      config: reads,
      schema: {
        operationId: 'readMeter',
        summary: 'Read a meter',
        description: 'Its newest version, or the one that an invoice names.',
        tags: ['Billing'],
        params: MeterParams,
        querystring: MeterQuery,
        response: { 200: MeterSchema, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => meters.readMeter(organizationScope(request).organizationId, request.params.meterKey, request.query),
  )

  app.post(
    `${METERS}/:meterKey/versions`,
    {
      config: { access: 'billing:write' },
      schema: {
        operationId: 'createMeterVersion',
        summary: 'Change a meter',
        description: `Adds a version; none is ever changed. The period that is open is measured by it as a whole. \`baseVersion\` is the version that
the change was written against: of two changes at once one is refused (409).`,
        tags: ['Billing'],
        params: MeterParams,
        body: MeterVersionInput,
        response: { 201: { ...MeterSchema, description: 'The new version.' }, ...changes },
      },
    },
    async (request, reply) => {
      const { organizationId } = organizationScope(request)
      const { body, params } = request
      return reply.code(201).send(await meters.addVersion(organizationId, params.meterKey, body, actingOf(request)))
    },
  )

  app.post(
    `${METERS}/preview`,
    {
      config: reads,
      schema: {
        operationId: 'previewMeter',
        summary: 'Try a meter',
        description: 'What a definition would say of the last days, by the times of the events. Nothing is stored.',
        tags: ['Billing'],
        params: OrganizationParams,
        body: PreviewInput,
        response: { 200: PreviewAnswer, ...problemResponses(400, 401, 403, 404, 413, 415, 422, 429, 503) },
      },
    },
    (request) => meters.preview(organizationScope(request).organizationId, request.body),
  )
}
