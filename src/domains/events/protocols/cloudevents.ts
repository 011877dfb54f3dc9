import { createHash } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { invalidRequest } from '../../../errors.ts'
import type { RawBatch, RawEvent } from '../body.ts'
import { LIMITS } from '../schemas.ts'
import { type Fields, type ForeignRoute, idOf, isFields, present, timeOf } from './foreign.ts'

export const CLOUDEVENTS_MEDIA_TYPES = ['application/cloudevents+json', 'application/cloudevents-batch+json']

const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({ minLength: 1 }),
    source: Type.String({ minLength: 1, description: 'The context; ids are unique within it.' }),
    type: Type.String({ minLength: 1, description: 'Name of the event.' }),
    subject: Type.Optional(Type.String({ description: 'The user.' })),
    time: Type.Optional(Type.String()),
    data: Type.Optional(Type.Unknown({ description: 'The properties.' })),
  },
  {
    additionalProperties: true,
    title: 'CloudEvent',
    examples: [
      {
        specversion: '1.0',
        id: 'r-1001',
        source: '/api/chat',
        type: 'tokens',
        subject: 'user-17',
        data: { total: 1250 },
      },
    ],
  },
)

/** The address to which OpenMeter's client, and whoever speaks as it does, sends CloudEvents. */
export const CLOUDEVENTS_ROUTES: ForeignRoute[] = [
  {
    url: '/api/v1/events',
    operationId: 'cloudEvents',
    summary: 'CloudEvents: one or a batch',
    description:
      'CloudEvents 1.0 in JSON, structured or batched, as sent to OpenMeter. The same bodies, with their media types, go to /v1/events too.',
    body: Type.Union([CloudEvent, Type.Array(CloudEvent)]),
    toBatch: fromCloudEvents,
    success: {
      status: 204,
      schema: Type.Null({ description: 'Every event is on disk, or was before.' }),
      body: () => undefined,
    },
    overload: 429,
    overQuota: 'refuse',
  },
]

/** Splits a structured body, which is one event, or a batched one, which is an array. */
export function fromCloudEvents(body: unknown): RawBatch {
  if (!isFields(body) && !Array.isArray(body)) {
    throw invalidRequest('The body is neither a CloudEvent nor an array of them.')
  }
  return { events: (Array.isArray(body) ? body : [body]).map(fromCloudEvent), sentAt: undefined }
}

function fromCloudEvent(foreign: unknown): RawEvent {
  const fault = faultOf(foreign)
  if (fault || !isFields(foreign)) return { fault: fault ?? 'is not a CloudEvent', code: 'events.invalid' }
  const { specversion, id, source, type, subject, time, data, data_base64, ...extensions } = foreign
  const value = {
    event: type,
    messageId: messageIdOf(String(source), String(id)),
    userId: idOf(subject),
    timestamp: timeOf(time),
    properties: propertiesOf(data, data_base64),
    context: present({ ...extensions, source }),
  }
  return { value }
}

function faultOf(foreign: unknown): string | undefined {
  if (!isFields(foreign)) return 'is not a CloudEvent'
  if (foreign.specversion !== '1.0') return 'specversion must be 1.0'
  const missing = ['id', 'source', 'type'].find((name) => typeof foreign[name] !== 'string' || foreign[name] === '')
  return missing && `${missing} must be a text that is not empty`
}

/**
 * An id is unique within its source, so both are the identity. A source is a URI, which holds no blank: the first one separates them
 * without doubt. What is too long for a messageId is told by its hash.
 */
function messageIdOf(source: string, id: string): string {
  const whole = `${source} ${id}`
  if (whole.length <= LIMITS.idLength && !source.includes(' ')) return whole
  return `ce_${createHash('sha256')
    .update(JSON.stringify([source, id]))
    .digest('hex')}`
}

function propertiesOf(data: unknown, base64: unknown): Fields | undefined {
  if (base64 !== undefined) return { data_base64: base64 }
  if (data === undefined || data === null) return undefined
  return isFields(data) ? data : { value: data }
}
