import { type Static, Type } from '@sinclair/typebox'
import { CursorQuery, LimitQuery, TimeInput } from '../../../../http/schemas.ts'
import { OneOf } from '../../../insights/index.ts'
import { Decimal } from '../decimal-text.ts'

const Time = (description: string) => Type.Optional(Type.Union(TimeInput.anyOf, { description }))
const MeterName = Type.String({
  pattern: '^[a-z][a-z0-9_]{0,49}$',
  default: 'events',
  description: 'Key of the meter.',
  examples: ['events'],
})
const ProjectId = Type.Optional(Type.String({ pattern: '^prj_[0-9a-z]{26}$', description: 'Only this project.' }))
const Version = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'Version of the meter; without it the newest.' }),
)

export const SPLITS = ['day', 'project', 'event', 'group', 'meter'] as const

export const UsageQuery = Type.Object(
  {
    from: Time('Begin; without it and `to` that of the billing period that is open.'),
    to: Time('End, exclusive.'),
    by: OneOf(SPLITS, {
      default: 'day',
      description: 'What each line is of. `meter` takes all meters, the others one.',
    }),
    meter: MeterName,
    projectId: ProjectId,
  },
  { additionalProperties: false },
)
export type UsageQuery = Static<typeof UsageQuery>

const Line = Type.Object({
  key: Type.String({
    description:
      'The day in UTC, the id of the project, the name of the event, the values of the group, or the key of the meter.',
  }),
  value: Decimal('What the meter says of it.'),
  events: Type.String({ description: 'How many events that is made of.' }),
  skipped: Type.String({ description: 'How many more have no value that the meter can use.' }),
})

export const UsageAnswer = Type.Object(
  {
    from: Type.String({ format: 'date-time' }),
    to: Type.String({ format: 'date-time', description: 'Exclusive.' }),
    by: Type.String(),
    data: Type.Array(Line, { description: 'What there is any usage of.' }),
    total: Type.Union([Type.Omit(Line, ['key']), Type.Null()], {
      description:
        'The measure of all of it, which for `unique`, `max` and `latest` is no sum of the lines; null by meter.',
    }),
    completeThrough: Type.String({
      format: 'date-time',
      description: 'Every event acknowledged up to this time is in the answer.',
    }),
  },
  {
    description: 'What was used.',
    examples: [
      {
        from: '2026-01-01T00:00:00.000Z',
        to: '2026-02-01T00:00:00.000Z',
        by: 'day',
        data: [{ key: '2026-01-31', value: '1200', events: '1200', skipped: '0' }],
        total: { value: '1200', events: '1200', skipped: '0' },
        completeThrough: '2026-01-31T12:00:00.000Z',
      },
    ],
  },
)
export type UsageAnswer = Static<typeof UsageAnswer>

export const HistoryQuery = Type.Object(
  {
    meter: MeterName,
    limit: Type.Integer({ minimum: 1, maximum: 24, default: 12, description: 'How many periods, the last ones.' }),
  },
  { additionalProperties: false },
)
export type HistoryQuery = Static<typeof HistoryQuery>

const PERIOD_EXAMPLE = {
  periodId: 'bpr_01jd7z3k9qf8v0m4c2t6n5w1xy',
  from: '2026-01-01T00:00:00.000Z',
  to: '2026-02-01T00:00:00.000Z',
  status: 'invoiced',
  planKey: 'pro',
  cutOff: '2026-02-02T00:00:00.000Z',
  value: '5200000',
  events: '5200000',
  skipped: '0',
}
export const HistoryAnswer = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        periodId: Type.String(),
        from: Type.String({ format: 'date-time' }),
        to: Type.String({ format: 'date-time', description: 'Exclusive.' }),
        status: Type.String({ description: 'open, ended or invoiced' }),
        planKey: Type.String(),
        cutOff: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
          description: 'What was received later is on a later invoice.',
        }),
        ...Type.Omit(Line, ['key']).properties,
      }),
    ),
  },
  { description: 'The periods, newest first.', examples: [{ data: [PERIOD_EXAMPLE] }] },
)
export type HistoryAnswer = Static<typeof HistoryAnswer>

const Received = {
  receivedThrough: Time('Only events whose first copy was received until then, as on an invoice with this cut-off.'),
  receivedAfter: Time('Only events whose first copy was received later, as in an adjustment.'),
}

export const HoursQuery = Type.Object(
  {
    from: Type.Union(TimeInput.anyOf, { description: 'Begin.' }),
    to: Type.Union(TimeInput.anyOf, { description: 'End, exclusive.' }),
    meter: MeterName,
    version: Version,
    projectId: ProjectId,
    ...Received,
  },
  { additionalProperties: false },
)
export type HoursQuery = Static<typeof HoursQuery>

const Hash = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description:
    'Over the events that were used, in no order; those of the hours sum to the one of the line, modulo 2^256.',
})
const HOUR_EXAMPLE = {
  time: '2026-01-31T12:00:00.000Z',
  projectId: 'prj_01jd7z3k9qf8v0m4c2t6n5w1xy',
  value: '40',
  events: '40',
  skipped: '0',
  contentHash: '425bc139ddd547cbad5f4b293697a7f673a079cfc1d49445f2b6a014e4998363',
}
export const HoursAnswer = Type.Object(
  {
    meter: Type.String(),
    version: Type.Integer(),
    data: Type.Array(
      Type.Object({
        time: Type.String({ format: 'date-time', description: 'Begin of the hour.' }),
        projectId: Type.String(),
        ...Type.Omit(Line, ['key']).properties,
        contentHash: Hash,
      }),
    ),
  },
  {
    description: 'The hours with any event, by project.',
    examples: [{ meter: 'events', version: 1, data: [HOUR_EXAMPLE] }],
  },
)
export type HoursAnswer = Static<typeof HoursAnswer>

export const HourEventsQuery = Type.Object(
  {
    hour: Type.Union(TimeInput.anyOf, { description: 'Begin of the hour.' }),
    meter: MeterName,
    version: Version,
    projectId: Type.String({ pattern: '^prj_[0-9a-z]{26}$', description: 'The project.' }),
    ...Received,
    limit: LimitQuery,
    cursor: Type.Optional(CursorQuery),
  },
  { additionalProperties: false },
)
export type HourEventsQuery = Static<typeof HourEventsQuery>

export const HourEventsAnswer = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        event: Type.String(),
        messageId: Type.String(),
        timestamp: Type.String({ format: 'date-time', description: 'As it was sent.' }),
        receivedAt: Type.String({ format: 'date-time', description: 'When its first copy was received.' }),
        value: Type.Union([Type.String(), Type.Null()], {
          description: 'What the meter takes from it, empty for a count; null for one that is skipped.',
        }),
      }),
    ),
    nextCursor: Type.Union([Type.String(), Type.Null()]),
  },
  {
    description: 'The events of an hour that a meter is made of, by name and id.',
    examples: [
      {
        data: [
          {
            event: 'API called',
            messageId: '0194b1c2-8c3f-7d10-9e55-0b6a4c1d2e3f',
            timestamp: '2026-01-31T12:00:00.000Z',
            receivedAt: '2026-01-31T12:00:00.120Z',
            value: '',
          },
        ],
        nextCursor: null,
      },
    ],
  },
)
export type HourEventsAnswer = Static<typeof HourEventsAnswer>
