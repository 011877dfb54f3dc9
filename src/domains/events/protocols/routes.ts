import { Value } from '@sinclair/typebox/value'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { Problem } from '../../../errors.ts'
import { projectScope } from '../../../http/access.ts'
import { setRateLimits } from '../../../http/rate-limits.ts'
import { problemResponses, TimeInput, timeToMs } from '../../../http/schemas.ts'
import { validatorCompiler } from '../../../http/validation.ts'
import { checkCount } from '../body.ts'
import { isStorableTime } from '../capture.ts'
import { limitsOf, quotaRefused } from '../quota-refusal.ts'
import { factsOf } from '../request-facts.ts'
import type { IngestRequest, IngestService } from '../service.ts'
import { CLOUDEVENTS_ROUTES } from './cloudevents.ts'
import type { ForeignRoute, StartRoute } from './foreign.ts'
import { readForeignBodies } from './foreign-body.ts'
import { laneOf } from './lane.ts'
import { POSTHOG_ROUTES, QUOTA_LIMITED } from './posthog.ts'
import { SEGMENT_ROUTES } from './segment.ts'
import { START_ROUTES } from './start.ts'

interface Options {
  ingest: IngestService
  publicUrl: string
}

/** Routes for the SDKs of other products: their events become native ones and pass through the same door. */
export const sdkRoutes: FastifyPluginAsync<Options> = async (app, options) => {
  readForeignBodies(app)
  // A whole batch is not refused for one of its events, so the schema documents the body and `capture` validates each event.
  app.setValidatorCompiler((route) => (route.httpPart === 'body' ? () => true : validatorCompiler(route)))
  const answerUnavailable = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    isQuota(error)
      ? reply.code(200).headers(error.headers).send(QUOTA_LIMITED)
      : app.errorHandler(asUnavailable(error), request, reply)
  const register = ({ url, aliases = [] }: { url: string; aliases?: string[] | undefined }, route: Handled) => {
    app.route({ ...route, url })
    for (const alias of aliases) app.route({ ...route, url: alias, schema: { ...route.schema, hide: true } })
  }
  for (const route of [...SEGMENT_ROUTES, ...POSTHOG_ROUTES, ...CLOUDEVENTS_ROUTES])
    register(route, {
      ...ingestRoute(route, options),
      ...(route.overload === 503 ? { errorHandler: answerUnavailable } : {}),
    })
  for (const route of START_ROUTES) register(route, startRoute(route, new URL(options.publicUrl)))
}

type Handled = Omit<RouteOptions, 'url'>

function ingestRoute(route: ForeignRoute, { ingest }: Options): Handled {
  const { operationId, summary, description, body, bodyCredential, success, overload, overQuota } = route
  return {
    method: 'POST',
    config: {
      access: 'events:write',
      rateLimit: false,
      logsFailuresOnly: true,
      ...(bodyCredential ? { bodyCredential } : {}),
    },
    schema: {
      ...{ operationId, summary, description, body },
      tags: ['SDKs'],
      response: { [success.status]: success.schema, ...problemResponses(400, 401, 403, 413, 415, 422, overload, 503) },
    },
    handler: async (request, reply) => {
      const { answer, ...limited } = await ingest(ingestRequest(route, request))
      if (overQuota === 'refuse' && answer.quotaExceeded && limited.quota) throw quotaRefused(limited.quota)
      setRateLimits(reply, limitsOf(limited))
      return reply.code(success.status).send(success.body(answer))
    },
  }
}

function ingestRequest({ toBatch }: ForeignRoute, request: FastifyRequest): IngestRequest {
  const batch = toBatch(request.body, request.headers)
  checkCount(batch)
  return {
    scope: projectScope(request),
    lane: laneOf(request.routeOptions.url ?? '', request.body),
    facts: factsOf(request),
    batch,
    sentAtMs: readSentAt(batch.sentAt),
    idempotencyKey: idempotencyKey(request),
  }
}

function startRoute(route: StartRoute, publicUrl: URL): Handled {
  const { method, operationId, summary, description, params, mediaType, schema, body } = route
  const answer = { description: schema.description, content: { [mediaType.split(';', 1)[0] ?? '']: { schema } } }
  return {
    method,
    config: { access: 'public' },
    // Some of these carry the key in their path, which must not reach the log of requests.
    logLevel: 'warn',
    schema: {
      ...{ operationId, summary, description, ...(params ? { params } : {}) },
      tags: ['SDKs'],
      response: { 200: answer, ...problemResponses(400, 413, 415, 429) },
    },
    handler: async (request, reply) => {
      // A page of another origin loads the script without asking by CORS.
      reply.header('cross-origin-resource-policy', 'cross-origin')
      const [key = ''] = Object.values(request.params as Record<string, string>)
      return reply.type(mediaType).send(body(key, reachedAt(request, publicUrl)))
    },
  }
}

/** Where a client has reached this server. Behind a proxy that is not trusted only the configuration knows of its TLS. */
function reachedAt({ protocol, host }: FastifyRequest, publicUrl: URL): URL {
  const own = `${host === publicUrl.host ? publicUrl.protocol : `${protocol}:`}//${host}`
  return URL.canParse(own) ? new URL(own) : publicUrl
}

/** A sender's clock is a hint: a wrong form of it is no reason to lose the batch. */
function readSentAt(sentAt: unknown): number | undefined {
  const ms = Value.Check(TimeInput, sentAt) ? timeToMs(sentAt) : Number.NaN
  return isStorableTime(ms) ? ms : undefined
}

function idempotencyKey({ headers }: FastifyRequest): string | undefined {
  const key = headers['idempotency-key']
  return typeof key === 'string' && key.length > 0 && key.length <= 255 ? key : undefined
}

const isQuota = (error: unknown): error is Problem =>
  error instanceof Problem && (error.code === 'billing.quota_exceeded' || error.code === 'billing.ingestion_stopped')

/** The same refusal with a status after which the client sends its events again. */
function asUnavailable(error: unknown): unknown {
  if (!(error instanceof Problem) || error.status !== 429) return error
  return new Problem(error.code, 503, error.title, error.message, { headers: error.headers, cause: error })
}
