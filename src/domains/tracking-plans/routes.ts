import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { projectScope } from '../../http/access.ts'
import { actingOf } from '../../http/acting.ts'
import { ProjectParams, problemResponses } from '../../http/schemas.ts'
import { refuseFaults } from './errors.ts'
import type { Author, HistoryService } from './history/service.ts'
import * as Api from './schemas.ts'

const BASE = '/v1/projects/:projectId/tracking-plan'
const read = { access: 'tracking_plan:read' } as const
const write = { access: 'tracking_plan:write' } as const
const common = { tags: ['Tracking plans'], params: ProjectParams }
const readProblems = problemResponses(400, 401, 403, 404, 429, 503)
const writeProblems = problemResponses(400, 401, 403, 404, 409, 413, 415, 422, 429, 503)

interface Options {
  trackingPlans: HistoryService
}

export const trackingPlanRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  await app.register(planRoutes, options)
  await app.register(eventRoutes, options)
  await app.register(versionRoutes, options)
}

const planRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { trackingPlans }) => {
  app.get(
    BASE,
    {
      config: read,
      schema: {
        ...common,
        operationId: 'getTrackingPlan',
        summary: 'Read the tracking plan',
        description: 'What happens to events that break the plan, and which events it has. `ETag` is its version.',
        response: { 200: Api.PlanAnswer, ...readProblems },
      },
    },
    async (request, reply) => {
      const plan = await trackingPlans.summary(projectScope(request))
      return reply.header('etag', `"${plan.version}"`).send(plan)
    },
  )

  app.patch(
    BASE,
    {
      config: write,
      schema: {
        ...common,
        operationId: 'changeTrackingPlan',
        summary: 'Change the modes',
        description: 'Says what happens to events from now on. Every process acts on it within five seconds.',
        headers: Api.IfMatch,
        body: Api.SettingsInput,
        response: { 200: Api.PlanAnswer, ...writeProblems },
      },
    },
    async (request, reply) => {
      const author = authorOf(request, request.body)
      const plan = await trackingPlans.changeSettings(projectScope(request), author, request.body)
      return reply.header('etag', `"${plan.version}"`).send(plan)
    },
  )
}

const eventRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { trackingPlans }) => {
  app.get(
    `${BASE}/events/:eventName`,
    {
      config: read,
      schema: {
        ...common,
        params: Api.EventParams,
        operationId: 'getEventSchema',
        summary: 'Read the schema of an event',
        description: 'The schema as it was written, with who published it and when.',
        response: { 200: Api.EventAnswer, ...readProblems },
      },
    },
    (request) => trackingPlans.event(projectScope(request), request.params.eventName),
  )

  app.put(
    `${BASE}/events/:eventName`,
    {
      config: write,
      schema: {
        ...common,
        params: Api.EventParams,
        operationId: 'putEventSchema',
        summary: 'Publish the schema of an event',
        description:
          'Adds the event to the plan, or replaces its schema, as a new version. The same schema again changes nothing. A plan may have 500 events and 1 MiB of schemas.',
        headers: Api.IfMatch,
        body: Api.SchemaInput,
        response: { 200: Api.EventAnswer, ...writeProblems },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const author = authorOf(request, body)
      const event = await trackingPlans.putEvent(projectScope(request), author, params.eventName, body.schema)
      return reply.header('etag', `"${event.planVersion}"`).send(event)
    },
  )

  app.delete(
    `${BASE}/events/:eventName`,
    {
      config: write,
      schema: {
        ...common,
        params: Api.EventParams,
        operationId: 'removeEventSchema',
        summary: 'Take an event out of the plan',
        description: 'Makes a new version without the event. Its schema stays in the versions before.',
        headers: Api.IfMatch,
        querystring: Api.ReasonQuery,
        response: { 204: Type.Null({ description: 'Taken out.' }), ...writeProblems },
      },
    },
    async (request, reply) => {
      const author = authorOf(request, request.query)
      const version = await trackingPlans.removeEvent(projectScope(request), author, request.params.eventName)
      return reply.code(204).header('etag', `"${version}"`).send(null)
    },
  )
}

const versionRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { trackingPlans }) => {
  app.get(
    `${BASE}/versions`,
    {
      config: read,
      schema: {
        ...common,
        operationId: 'listTrackingPlanVersions',
        summary: 'Read the history of the plan',
        description: 'Every change, newest first, with who made it, when and why. History cannot be changed.',
        querystring: Api.VersionQuery,
        response: { 200: Api.VersionPage, ...readProblems },
      },
    },
    (request) => trackingPlans.versions(projectScope(request), request.query),
  )

  app.get(
    `${BASE}/versions/:version`,
    {
      config: read,
      schema: {
        ...common,
        params: Api.VersionParams,
        operationId: 'getTrackingPlanVersion',
        summary: 'Read an old version',
        description: 'The whole plan as it was at a version, with every schema.',
        response: { 200: Api.WholeVersion, ...readProblems },
      },
    },
    (request) => trackingPlans.version(projectScope(request), request.params.version),
  )

  app.post(
    `${BASE}/versions/:version/restore`,
    {
      config: write,
      schema: {
        ...common,
        params: Api.VersionParams,
        operationId: 'restoreTrackingPlanVersion',
        summary: 'Roll back to an old version',
        description:
          'Publishes an old version anew, with its modes and schemas. The versions between stay in the history.',
        headers: Api.IfMatch,
        body: Api.RestoreInput,
        response: { 200: Api.PlanAnswer, ...writeProblems },
      },
    },
    async (request, reply) => {
      const author = authorOf(request, request.body)
      const plan = await trackingPlans.restore(projectScope(request), author, request.params.version)
      return reply.header('etag', `"${plan.version}"`).send(plan)
    },
  )
}

/** The version that a change is made to may stand in a header, as HTTP has it, or with the comment. */
function authorOf(request: FastifyRequest, { comment, expectedVersion }: Api.Reason): Author {
  const header = request.headers['if-match']?.replaceAll('"', '')
  if (header !== undefined && expectedVersion !== undefined && Number(header) !== expectedVersion)
    refuseFaults([{ path: '/expectedVersion', message: 'differs from If-Match' }])
  const expected = header === undefined ? expectedVersion : Number(header)
  return {
    by: actingOf(request),
    ...(comment === undefined ? {} : { comment }),
    ...(expected === undefined ? {} : { expectedVersion: expected }),
  }
}
