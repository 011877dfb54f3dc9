import { type Static, Type } from '@sinclair/typebox'
import { LimitQuery, QueryMeta, TimeInput } from '../../http/schemas.ts'
import { EVENTS_ANSWER } from './examples.ts'

const TextOrNull = Type.Unsafe<string | null>({ type: ['string', 'null'] })
const Bag = Type.Record(Type.String(), Type.Unknown())
const part = <const Name extends string>(names: readonly Name[], description: string) =>
  Type.Unsafe<Record<Name, string | null> | null>({
    type: ['object', 'null'],
    properties: Object.fromEntries(names.map((name) => [name, { type: ['string', 'null'] }])),
    description,
  })
const Id = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 200, description }))

export const EventsQuery = Type.Object(
  {
    event: Id('Only events of this name.'),
    userId: Id('Only events of this user.'),
    anonymousId: Id('Only events of this device or browser.'),
    distinctId: Id('Only events of this distinct id: userId, else anonymousId.'),
    messageId: Id('Only the event with this messageId.'),
    from: Type.Optional(Type.Union(TimeInput.anyOf, { description: 'Earliest timestamp, inclusive.' })),
    to: Type.Optional(Type.Union(TimeInput.anyOf, { description: 'Latest timestamp, exclusive.' })),
    filters: Type.Optional(
      Type.String({
        maxLength: 8192,
        description: 'JSON text of an array of filters, as in a query.',
        examples: ['[{"field":"properties.total","operator":"gt","value":100}]'],
      }),
    ),
    limit: LimitQuery,
    cursor: Type.Optional(
      Type.String({ maxLength: 4096, description: 'The `nextCursor` of the page before, for the same search.' }),
    ),
  },
  { additionalProperties: false },
)
export type EventsQuery = Static<typeof EventsQuery>

const StoredEvent = Type.Object(
  {
    messageId: Type.String(),
    event: Type.String(),
    type: Type.String(),
    userId: TextOrNull,
    anonymousId: TextOrNull,
    groupId: TextOrNull,
    timestamp: Type.String({
      format: 'date-time',
      description: 'When it happened, by our clock: the sender’s time less `clockSkewMs`.',
    }),
    receivedAt: Type.String({ format: 'date-time', description: 'When it reached us.' }),
    sentAt: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: 'When it was sent, by the clock of the sender.',
    }),
    clockSkewMs: Type.Integer({
      description:
        'How far the sender’s clock was ahead of ours when it sent; 0 where that is not known, or not between a minute and a day.',
    }),
    ip: { ...TextOrNull, description: 'The address, as the project’s policy lets it be stored.' },
    geo: part(['country', 'region', 'city'], 'Where the address is. IP geolocation by [DB-IP](https://db-ip.com).'),
    device: part(['type', 'browser', 'browserVersion', 'os', 'osVersion'], 'What the user agent says.'),
    source: part(
      ['channel', 'referrerDomain', 'utmSource', 'utmMedium', 'utmCampaign', 'utmTerm', 'utmContent'],
      'How the visitor came. Null for a step within a site.',
    ),
    isBot: Type.Boolean({ description: 'Whether it looks like the work of a robot. Nothing is dropped for it.' }),
    botSignals: {
      ...TextOrNull,
      description: 'Why `isBot`: userAgent, automation and headers, joined with `+`.',
    },
    properties: Bag,
    traits: Bag,
    context: Bag,
  },
  { title: 'StoredEvent' },
)

export const EventsAnswer = Type.Object(
  {
    data: Type.Array(StoredEvent),
    nextCursor: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: 'Pass it as `cursor` for the next page; null on the last one.',
    }),
    meta: QueryMeta,
  },
  { description: 'One page of events, newest first.', examples: [EVENTS_ANSWER] },
)
export type EventsAnswer = Static<typeof EventsAnswer>
