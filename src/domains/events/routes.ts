import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { FastifyRequest } from 'fastify'
import { invalidRequest } from '../../errors.ts'
import { projectScope } from '../../http/access.ts'
import { setRateLimits } from '../../http/rate-limits.ts'
import { problemResponses, TimeInput, timeToMs } from '../../http/schemas.ts'
import { validatorCompiler } from '../../http/validation.ts'
import { answerText } from './answer-text.ts'
import { checkCount, decodeText, parseJson, type RawBatch, readBodiesAsBytes, splitBody } from './body.ts'
import { isStorableTime } from './capture.ts'
import { bodyEmpty } from './errors.ts'
import { CLOUDEVENTS_MEDIA_TYPES, fromCloudEvents } from './protocols/cloudevents.ts'
import { limitsOf } from './quota-refusal.ts'
import { factsOf } from './request-facts.ts'
import { BatchInput, EventInput, IngestAnswer, LIMITS } from './schemas.ts'
import type { IngestRequest, IngestService } from './service.ts'

/** Up to this many events the answer lists every result, past it only those that were not accepted. */
const FULL_RESULTS_MAX = 100

const ANSWER_HEADERS = { 'content-type': 'application/json; charset=utf-8', 'x-content-type-options': 'nosniff' }

const DESCRIPTION = `Takes one event, an array, \`{ "batch": [...], "sentAt": … }\` or one JSON text per line (application/x-ndjson), or
CloudEvents 1.0 as application/cloudevents+json or application/cloudevents-batch+json;
\`Content-Encoding\` gzip, deflate, br or zstd. Up to ${LIMITS.events} events, 10 MB decoded, 256 KB per event.

202 means that every event called \`accepted\` is on disk and will be stored, shown and billed once. Send a request without an answer
again, with the same messageIds: what was taken the first time is answered as \`duplicate\`.`

export const eventRoutes: FastifyPluginAsyncTypebox<{ ingest: IngestService }> = async (app, { ingest }) => {
  readBodiesAsBytes(app, ['application/json', 'application/x-ndjson', ...CLOUDEVENTS_MEDIA_TYPES])
  // The body is bytes until it has been split, so the route's schema documents it and does not validate it.
  app.setValidatorCompiler((route) => (route.httpPart === 'body' ? () => true : validatorCompiler(route)))

  app.post(
    '/v1/events',
    {
      config: { access: 'events:write', rateLimit: false, logsFailuresOnly: true, isForPrograms: true },
      bodyLimit: LIMITS.bodyBytes,
      schema: {
        operationId: 'ingestEvents',
        summary: 'Send events',
        description: DESCRIPTION,
        tags: ['Events'],
        headers: Type.Object({
          'idempotency-key': Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 255,
              description: 'Gives events without a messageId one that a retry repeats.',
            }),
          ),
        }),
        querystring: Type.Object(
          { verbose: Type.Optional(Type.Boolean({ description: 'List the result of every event.' })) },
          { additionalProperties: false },
        ),
        body: Type.Union([EventInput, Type.Array(EventInput), BatchInput]),
        response: { 202: IngestAnswer, ...problemResponses(400, 401, 403, 413, 415, 422, 429, 503) },
      },
    },
    async (request, reply) => {
      const { answer, ...limited } = await ingest(ingestRequest(request))
      setRateLimits(reply, limitsOf(limited))
      const listsAll = request.query.verbose || answer.results.length <= FULL_RESULTS_MAX
      return reply.code(202).headers(ANSWER_HEADERS).send(answerText(answer, listsAll))
    },
  )
}

function ingestRequest(request: FastifyRequest): IngestRequest {
  const body: unknown = request.body
  if (!Buffer.isBuffer(body)) throw bodyEmpty('Send at least one event.')
  const batch = toBatch(body, request.headers['content-type'] ?? '')
  const idempotencyKey = request.headers['idempotency-key'] as string | undefined
  const sentAtMs = parseSentAt(batch.sentAt)
  return { scope: projectScope(request), lane: 'live', facts: factsOf(request), batch, sentAtMs, idempotencyKey }
}

function toBatch(body: Buffer, contentType: string): RawBatch {
  if (!contentType.startsWith('application/cloudevents')) return splitBody(body, contentType)
  const batch = fromCloudEvents(parseJson(decodeText(body)))
  checkCount(batch)
  return batch
}

function parseSentAt(sentAt: unknown): number | undefined {
  if (sentAt === undefined) return undefined
  const ms = Value.Check(TimeInput, sentAt) ? timeToMs(sentAt) : Number.NaN
  if (!isStorableTime(ms)) {
    throw invalidRequest('The batch is not valid.', {
      errors: [{ path: '/sentAt', message: 'must be RFC 3339 or epoch milliseconds, from 1970 to 2199' }],
    })
  }
  return ms
}
