import { type Static, Type } from '@sinclair/typebox'
import { TimeInput } from '../../http/schemas.ts'

export const LIMITS = {
  bodyBytes: 10 * 1024 * 1024,
  events: 2000,
  eventBytes: 256 * 1024,
  nameLength: 200,
  idLength: 200,
  depth: 32,
} as const

const Id = (description: string, example: string) =>
  Type.String({ minLength: 1, maxLength: LIMITS.idLength, description, examples: [example] })

const Bag = (description: string, example: Record<string, unknown>) =>
  Type.Record(Type.String(), Type.Unknown(), { description, examples: [example] })

export const EventType = Type.Union(
  (['track', 'identify', 'page', 'screen', 'group', 'alias'] as const).map((type) => Type.Literal(type)),
  { default: 'track' },
)

/** One event as a producer sends it. */
export const EventInput = Type.Object(
  {
    event: Type.String({
      minLength: 1,
      maxLength: LIMITS.nameLength,
      description: 'Name of the event.',
      examples: ['Order Completed'],
    }),
    messageId: Type.Optional(
      Id(
        'De-duplication id, minted once by the client and kept on every retry. Without it a retry counts twice.',
        '0193b0c2-7d1e-7aaa-8000-3f2c6c1d9e55',
      ),
    ),
    type: Type.Optional(EventType),
    userId: Type.Optional(Id('Known user of the customer.', 'user-17')),
    anonymousId: Type.Optional(Id('Device or browser before sign-in.', 'anon-4711')),
    groupId: Type.Optional(Id('Account or company of the user.', 'acme')),
    timestamp: Type.Optional(TimeInput),
    properties: Type.Optional(Bag('Facts of the event.', { total: 49.9, currency: 'EUR' })),
    traits: Type.Optional(Bag('Facts of the user or group.', { plan: 'pro' })),
    context: Type.Optional(Bag('Circumstances: page, campaign, device, library …', { country: 'DE' })),
  },
  { additionalProperties: false, title: 'Event' },
)
export type EventInput = Static<typeof EventInput>

export const BatchInput = Type.Object(
  { batch: Type.Array(EventInput), sentAt: Type.Optional(TimeInput) },
  { additionalProperties: false, title: 'Batch' },
)

export const EventResult = Type.Object({
  index: Type.Integer({ description: 'Position in the request.' }),
  messageId: Type.Union([Type.String(), Type.Null()]),
  status: Type.Union(
    (['accepted', 'duplicate', 'rejected', 'quarantined', 'quota_exceeded', 'held', 'sampled_out'] as const).map(
      (status) => Type.Literal(status),
    ),
    {
      description: `accepted: new and on disk; with a \`code\` it breaks the tracking plan all the same. duplicate: accepted before.
rejected: sending it again changes nothing. quarantined: on disk, set aside for repair, neither shown nor billed. quota_exceeded: not
taken, because the events of the billing period are used up; it may be sent again in the next one. held: on disk, taken as soon as there
is room. sampled_out: not taken, because beyond the limit only a part is, chosen by messageId.`,
    },
  ),
  deduplication: Type.Optional(
    Type.Literal('none', {
      description: 'The event came without a messageId, so a retry of it could not be recognized.',
    }),
  ),
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
})
export type EventResult = Static<typeof EventResult>

export const IngestAnswer = Type.Object(
  {
    accepted: Type.Integer({ description: 'New events, now on disk.' }),
    duplicates: Type.Integer({ description: 'Events that were accepted before.' }),
    rejected: Type.Integer({ description: 'Events that are invalid; sending them again changes nothing.' }),
    quarantined: Type.Integer({ description: 'Events that the tracking plan sets aside for repair.' }),
    quotaExceeded: Type.Optional(Type.Integer({ description: 'Events beyond the limit that were not taken, if any.' })),
    held: Type.Optional(Type.Integer({ description: 'Events beyond the limit that are kept back, if any.' })),
    sampledOut: Type.Optional(
      Type.Integer({ description: 'Events beyond the limit that the sample leaves out, if any.' }),
    ),
    results: Type.Array(EventResult, {
      description: 'Every event of a request of up to 100, else those that were not accepted.',
    }),
  },
  {
    description: 'Every event that is called accepted is on disk.',
    examples: [
      {
        accepted: 1,
        duplicates: 0,
        rejected: 1,
        quarantined: 0,
        results: [
          { index: 0, messageId: 'order-1001', status: 'accepted' },
          {
            index: 1,
            messageId: null,
            status: 'rejected',
            code: 'events.invalid',
            message: '/event: Expected required property',
          },
        ],
      },
    ],
  },
)
export type IngestAnswer = Static<typeof IngestAnswer>
