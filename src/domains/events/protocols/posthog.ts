import { Type } from '@sinclair/typebox'
import { invalidRequest } from '../../../errors.ts'
import type { RawBatch } from '../body.ts'
import type { IngestAnswer } from '../schemas.ts'
import { Success, withRejected } from './answers.ts'
import { type ForeignRoute, fieldsOr, firstText } from './foreign.ts'
import { fromPostHog } from './posthog-event.ts'

const Capture = Type.Unknown({
  description: 'One event, an array, or `{ batch }`, with the key as `api_key`, `token` or `properties.token`.',
  examples: [
    {
      api_key: 'mh_write_…',
      batch: [{ event: 'Order Completed', distinct_id: 'user-17', uuid: '0193b0c2-7d1e-7aaa-8000-3f2c6c1d9e55' }],
    },
  ],
})

const V1Batch = Type.Object(
  { batch: Type.Array(Type.Unknown()), created_at: Type.Optional(Type.String()) },
  {
    additionalProperties: true,
    examples: [
      { batch: [{ event: 'Order Completed', distinct_id: 'user-17', uuid: '0193b0c2-7d1e-7aaa-8000-3f2c6c1d9e55' }] },
    ],
  },
)

const V1Results = Type.Object(
  {
    results: Type.Record(
      Type.String(),
      Type.Object({ result: Type.String({ description: '`ok` or `drop`' }), details: Type.Optional(Type.String()) }),
    ),
  },
  {
    description: 'What became of each event, by its uuid.',
    examples: [{ results: { '0193b0c2-7d1e-7aaa-8000-3f2c6c1d9e55': { result: 'ok' } } }],
  },
)

const QuotaLimited = Type.Array(Type.String(), {
  description: 'Present when the quota takes no more events: the libraries then drop what they have, and pause.',
})

/** What the libraries understand as an exhausted quota; after an error the browser would go on sending. */
export const QUOTA_LIMITED = { status: 1, quota_limited: ['events'] }

const capture = (url: string, aliases: string[], operationId: string): ForeignRoute => ({
  url,
  aliases,
  operationId,
  summary: `PostHog: ${operationId === 'posthogBatch' ? 'a batch' : 'one event or several'}`,
  description:
    'The capture protocol of the PostHog libraries. Too many events are told as 503: the browser gives up on 429.',
  body: Capture,
  bodyCredential: keyOf,
  toBatch: (body, headers) => toBatch(body, headers['posthog-request-timestamp']),
  success: {
    // Exactly 200: the browser library sends again after any other 2xx.
    status: 200,
    schema: Success({ status: Type.Literal(1), quota_limited: Type.Optional(QuotaLimited) }, { status: 1 }),
    body: (answer) => withRejected(answer.quotaExceeded ? QUOTA_LIMITED : { status: 1 })(answer),
  },
  overload: 503,
  overQuota: 'tell',
})

export const POSTHOG_ROUTES: ForeignRoute[] = [
  capture('/batch/', ['/batch'], 'posthogBatch'),
  capture('/e/', ['/e', '/capture', '/capture/', '/i/v0/e', '/i/v0/e/'], 'posthogCapture'),
  {
    url: '/i/v1/analytics/events',
    operationId: 'posthogEvents',
    summary: 'PostHog: a batch with a result per event',
    description: 'The second version of the capture protocol, with the key in the Authorization header.',
    body: V1Batch,
    toBatch: (body, headers) => toBatch(body, headers['posthog-request-timestamp']),
    success: { status: 200, schema: V1Results, body: toResults },
    overload: 429,
    overQuota: 'tell',
  },
]

function keyOf(body: unknown): string | undefined {
  const [first] = Array.isArray(body) ? body : [body]
  const { api_key, token, properties } = fieldsOr(first)
  return firstText(api_key, token, fieldsOr(properties).token)
}

function toBatch(body: unknown, requestedAt: unknown): RawBatch {
  const { batch, sent_at } = fieldsOr(body)
  if (batch !== undefined && !Array.isArray(batch)) {
    throw invalidRequest('The batch is not valid.', { errors: [{ path: '/batch', message: 'must be an array' }] })
  }
  const events: unknown[] = batch ?? (Array.isArray(body) ? body : [body])
  return { events: events.map((event) => ({ value: fromPostHog(event) })), sentAt: sent_at ?? requestedAt }
}

const DROPPED = new Set<IngestAnswer['results'][number]['status']>(['rejected', 'quota_exceeded', 'sampled_out'])

function toResults({ results }: IngestAnswer) {
  const entries = results.map(({ messageId, status, message }) => [
    messageId ?? '',
    DROPPED.has(status) ? { result: 'drop', details: message } : { result: 'ok' },
  ])
  return { results: Object.fromEntries(entries) }
}
