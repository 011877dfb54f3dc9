import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type FieldError, invalidRequest, noSuchRoute, Problem } from '../errors.ts'

const TYPE_BASE = 'https://meterhouse.dev/problems/'

/** Fastify's and its plugins' own refusals, by status, in our words. */
const BY_STATUS: Record<number, { code: string; title: string }> = {
  400: { code: 'request.invalid', title: 'The request is not valid' },
  404: { code: 'resource.not_found', title: 'Not found' },
  405: { code: 'request.method_not_allowed', title: 'Method not allowed' },
  413: { code: 'request.too_large', title: 'The body is too large' },
  414: { code: 'request.uri_too_long', title: 'The URL is too long' },
  415: { code: 'request.unsupported_media_type', title: 'The media type is not supported' },
  429: { code: 'request.rate_limited', title: 'Too many requests' },
  503: { code: 'service.unavailable', title: 'A service that this request needs is not available' },
}

/** System errors of sockets: an outside service is away, which is not the caller's fault and passes. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  '57P01',
  '57P03',
  '53300',
])
const RETRY_AFTER_SECONDS = '2'
const ERRORS_MAX = 20

/** Turns every failure of every route into application/problem+json; what is not a Problem says nothing about its cause. */
export default fp(
  async (app) => {
    app.setErrorHandler((error: FastifyError | Problem, request, reply) => {
      const problem = toProblem(error)
      // A refusal that was meant (there is no room, come back later) has no cause, and its request leaves a line anyway.
      if (problem.status >= 500 && (problem.cause !== undefined || problem !== error))
        request.log.error({ err: problem.cause ?? error, code: problem.code }, 'request failed')
      return sendProblem(problem, request, reply)
    })
    app.setNotFoundHandler((request, reply) => sendProblem(noSuchRoute(request), request, reply))
  },
  { name: 'problems' },
)

function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply) {
  const { code, status, title, message: detail, errors, headers } = problem
  if (status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', RETRY_AFTER_SECONDS)
  const body = { type: TYPE_BASE + code, title, status, detail, instance: request.id, code, errors }
  // As bytes, since Fastify would add a charset to a text: the media type has none, and OpenMeter's client reads only the bare one.
  return reply
    .code(status)
    .headers(headers)
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify(body)))
}

/** The public face of any failure. */
export function toProblem(error: FastifyError | Problem): Problem {
  if (error instanceof Problem) return error
  if (error.validation) {
    return invalidRequest(`The ${error.validationContext ?? 'request'} is not valid.`, {
      errors: error.validation.slice(0, ERRORS_MAX).map((fault) => toFieldError(fault, error.validationContext)),
    })
  }
  const status = error.statusCode ?? 500
  const known = BY_STATUS[status]
  if (known && status < 500) return new Problem(known.code, status, known.title, error.message, { cause: error })
  if (status === 503 || isUnreachable(error)) {
    const { code, title } = { code: 'service.unavailable', title: 'A service that this request needs is not available' }
    return new Problem(code, 503, title, 'Try again in a moment.', { cause: error })
  }
  return new Problem('service.internal', 500, 'Unexpected fault', 'Something went wrong on our side.', { cause: error })
}

function isUnreachable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && UNREACHABLE.has(String(cause.code))) return true
    if (
      /Connection terminated|Connection is closed|Stream isn't writeable|Command timed out|timeout exceeded when trying to connect/.test(
        cause.message,
      )
    ) {
      return true
    }
  }
  return false
}

interface AjvFault {
  instancePath: string
  keyword: string
  params: Record<string, unknown>
  message?: string
}

/** The pointer names the field itself, also where ajv blames its parent (a missing or an extra property). */
function toFieldError(fault: AjvFault, context: string | undefined): FieldError {
  const parent = context && context !== 'body' ? `/${context}${fault.instancePath}` : fault.instancePath
  if (fault.keyword === 'required') return { path: `${parent}/${fault.params.missingProperty}`, message: 'is required' }
  if (fault.keyword === 'additionalProperties') {
    return { path: `${parent}/${fault.params.additionalProperty}`, message: 'is not a field that this route knows' }
  }
  return { path: parent, message: fault.message ?? 'is not valid' }
}
