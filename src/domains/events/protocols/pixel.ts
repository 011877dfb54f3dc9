import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { invalidRequest } from '../../../errors.ts'
import { toProblem } from '../../../http/problems.ts'
import { problemResponses } from '../../../http/schemas.ts'
import type { Metrics } from '../../../infra/metrics.ts'
import { type Fields, fieldsOr, firstText, isFields } from './foreign.ts'
import { decodeData } from './foreign-body.ts'
import { fromSegment, SEGMENT_CALLS } from './segment.ts'

const GIF = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')

interface Options {
  /** Takes one event; rejects when it was not taken. */
  take: (request: FastifyRequest, event: unknown) => Promise<unknown>
  metrics: Metrics
}

/**
 * Segment's pixel, for pages and mails where nothing but an image works. An image that is broken would be seen, and nobody reads its
 * answer, so it always gets the image; what could not be taken is counted by its reason, without a word of what it said.
 */
export const pixelRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { take, metrics }) => {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { code, status, cause } = toProblem(error)
    metrics.pixelFaults.inc({ code })
    if (status >= 500) request.log.error({ err: cause ?? error, code }, 'an event of a pixel was lost')
    return sendImage(reply)
  })

  app.get(
    '/v1/pixel/:call',
    {
      // To ask for the headers alone would store an event too.
      exposeHeadRoute: false,
      config: {
        access: 'events:write',
        rateLimit: false,
        queryCredential: (query) => firstText(readData(fieldsOr(query).data)?.writeKey),
      },
      schema: {
        operationId: 'segmentPixel',
        summary: 'Segment: a call as an image',
        description:
          'Takes one call (track, identify, page, screen, group, alias) from the query string, with the write key in it, and answers with a transparent image of one pixel, whatever becomes of the event. Only for where nothing but an image works: URLs end up in logs.',
        tags: ['SDKs'],
        params: Type.Object({ call: Type.String({ description: `One of ${SEGMENT_CALLS.join(', ')}.` }) }),
        querystring: Type.Object({
          data: Type.Optional(Type.String({ description: 'The call with its `writeKey`: JSON in base64.' })),
        }),
        response: {
          200: {
            description: 'The image.',
            content: { 'image/gif': { schema: Type.String({ examples: ['GIF89a…'] }) } },
          },
          ...problemResponses(),
        },
      },
    },
    async (request, reply) => {
      const call = readData(request.query.data)
      if (!call || !SEGMENT_CALLS.includes(request.params.call)) throw invalidRequest('The pixel holds no call.')
      await take(request, fromSegment(call, request.params.call))
      return sendImage(reply)
    },
  )
}

function sendImage(reply: FastifyReply) {
  return reply
    .code(200)
    .headers({ 'cache-control': 'no-store', 'cross-origin-resource-policy': 'cross-origin' })
    .type('image/gif')
    .send(GIF)
}

function readData(data: unknown): Fields | undefined {
  if (typeof data !== 'string') return undefined
  try {
    const call: unknown = JSON.parse(decodeData(data))
    return isFields(call) ? call : undefined
  } catch {
    // The parser's message would quote the call.
    return undefined
  }
}
