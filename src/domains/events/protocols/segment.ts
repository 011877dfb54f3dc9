import { Type } from '@sinclair/typebox'
import { invalidRequest } from '../../../errors.ts'
import type { RawBatch } from '../body.ts'
import { Success, withRejected } from './answers.ts'
import { type Fields, type ForeignRoute, fieldsOr, firstText, idOf, isFields, present, timeOf } from './foreign.ts'

/** Names of the calls that have none of their own. The name that a page or a screen was given is its property `name`. */
const NAMES = new Map<unknown, string>(
  Object.entries({
    identify: 'User Identified',
    page: 'Page Viewed',
    screen: 'Screen Viewed',
    group: 'Group Identified',
    alias: 'User Aliased',
  }),
)

const DESCRIPTION =
  'Segment HTTP API, as spoken by the Segment and RudderStack libraries. The key is the user name of HTTP Basic, or `writeKey` in the body.'

const Call = Type.Object(
  {
    messageId: Type.Optional(Type.String()),
    userId: Type.Optional(Type.String()),
    anonymousId: Type.Optional(Type.String()),
    timestamp: Type.Optional(Type.String()),
  },
  { additionalProperties: true, examples: [{ userId: 'user-17', event: 'Order Completed', messageId: 'order-1001' }] },
)
const Batch = Type.Object(
  { batch: Type.Array(Call), writeKey: Type.Optional(Type.String()), sentAt: Type.Optional(Type.String()) },
  {
    additionalProperties: true,
    examples: [{ batch: [{ type: 'track', userId: 'user-17', event: 'Order Completed', messageId: 'order-1001' }] }],
  },
)

const SUCCESS = {
  status: 200,
  schema: Success({ success: Type.Literal(true) }, { success: true }),
  body: withRejected({ success: true }),
} as const

const bodyCredential = (body: unknown) => firstText(fieldsOr(body).writeKey)

const single = (type: string, letter: string): ForeignRoute => ({
  url: `/v1/${type}`,
  aliases: [`/v1/${letter}`],
  operationId: `segment${type[0]?.toUpperCase()}${type.slice(1)}`,
  summary: `Segment: ${type}`,
  description: DESCRIPTION,
  body: Call,
  bodyCredential,
  toBatch: (body) => ({ events: [{ value: fromSegment(body, type) }], sentAt: fieldsOr(body).sentAt }),
  success: SUCCESS,
  overload: 429,
  overQuota: 'refuse',
})

const many = (name: string, aliases: string[]): ForeignRoute => ({
  url: `/v1/${name}`,
  aliases,
  operationId: `segment${name[0]?.toUpperCase()}${name.slice(1)}`,
  summary: `Segment: ${name}`,
  description: DESCRIPTION,
  body: Batch,
  bodyCredential,
  toBatch: fromSegmentBatch,
  success: SUCCESS,
  overload: 429,
  overQuota: 'refuse',
})

export const SEGMENT_CALLS = ['track', 'identify', 'page', 'screen', 'group', 'alias']

export const SEGMENT_ROUTES: ForeignRoute[] = [
  ...SEGMENT_CALLS.map((call) => single(call, call.charAt(0))),
  many('batch', ['/v1/b']),
  many('import', []),
]

function fromSegmentBatch(body: unknown): RawBatch {
  const { batch, context, integrations, sentAt } = fieldsOr(body)
  if (!Array.isArray(batch)) {
    throw invalidRequest('The batch is not valid.', { errors: [{ path: '/batch', message: 'must be an array' }] })
  }
  const shared = { context: fieldsOr(context), integrations: fieldsOr(integrations) }
  return {
    events: batch.map((call) => ({ value: fromSegment(call, undefined, shared) })),
    sentAt: sentAt ?? fieldsOr(batch[0]).sentAt,
  }
}

/**
 * The native event of one call. Every field arrives: what has no place of its own goes to `context.envelope`. Left out is the key,
 * and what differs between a send and its retry (`sentAt`, which the request carries, and the count of attempts).
 */
export function fromSegment(call: unknown, pathType?: string, shared = { context: {}, integrations: {} }): unknown {
  if (!isFields(call)) return call
  const { type: ownType, event, name, category, previousId, messageId, userId, anonymousId, groupId, ...others } = call
  const { properties, traits, context, timestamp, originalTimestamp, writeKey, sentAt, ...extras } = others
  const type = pathType ?? ownType ?? 'track'
  const envelope = envelopeOf(extras, shared.integrations, timeOf(timestamp) === undefined ? null : originalTimestamp)
  return {
    event: NAMES.get(type) ?? event,
    messageId: idOf(messageId),
    type,
    userId: idOf(userId),
    anonymousId: idOf(anonymousId),
    groupId: idOf(groupId ?? fieldsOr(context).groupId),
    timestamp: timeOf(timestamp) ?? timeOf(originalTimestamp),
    properties: extend(properties, { name, category, previousId, ...(NAMES.has(type) ? { event } : {}) }),
    traits: traits ?? undefined,
    context: extend(context, { ...shared.context, envelope }),
  }
}

function envelopeOf(extras: Fields, integrations: Fields, originalTimestamp: unknown): Fields | undefined {
  const { retryCount, ...metadata } = fieldsOr(extras._metadata)
  return present({
    ...extras,
    _metadata: present(metadata),
    integrations: present({ ...integrations, ...fieldsOr(extras.integrations) }),
    originalTimestamp,
  })
}

/** The given fields win over the added ones. What is not fields is left for `capture` to refuse. */
function extend(fields: unknown, added: Fields): unknown {
  if (!isFields(fields ?? {})) return fields
  return Object.keys(fieldsOr(fields)).length > 0 ? { ...present(added), ...fieldsOr(fields) } : present(added)
}
