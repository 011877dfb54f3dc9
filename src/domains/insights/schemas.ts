import { type Static, Type } from '@sinclair/typebox'
import { QueryMeta, TimeInput } from '../../http/schemas.ts'
import { INTERVALS } from './buckets.ts'
import { TREND_ANSWER, TREND_QUERY, USAGE_ANSWER } from './examples.ts'
import { FieldName, Filters, OneOf } from './filter-schema.ts'

export const LIMITS = { series: 10, breakdown: 3, groups: 200, defaultGroups: 25, points: 20_000 } as const

export const MATHS = ['count', 'uniqueUsers', 'sum', 'avg', 'min', 'max', 'p50', 'p90', 'p95', 'p99'] as const
export type MathName = (typeof MATHS)[number]

const From = Type.Union(TimeInput.anyOf, {
  description: 'Start, inclusive: RFC 3339 or epoch milliseconds.',
  examples: ['2026-09-01T00:00:00Z'],
})
const To = Type.Union(TimeInput.anyOf, {
  description: 'End, exclusive: RFC 3339 or epoch milliseconds.',
  examples: ['2026-10-01T00:00:00Z'],
})
const EventName = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'Name of the events; absent means all events.',
  examples: ['Order Completed'],
})
const Time = Type.String({ format: 'date-time' })
/** A type list and not a union, which would be tried branch by branch for each of thousands of points. */
const NumberOrNull = Type.Unsafe<number | null>({ type: ['number', 'null'] })

const Series = Type.Object(
  {
    event: Type.Optional(EventName),
    math: OneOf(MATHS, {
      description:
        'What is computed per bucket. uniqueUsers counts distinct ids exactly (userId, else anonymousId). Percentiles are exact, with linear interpolation. The others aggregate the JSON numbers of `property`; events without a number there are left out.',
    }),
    property: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 500,
        description:
          'The number that sum, avg, min, max and percentiles are of: `total` is properties.total; traits.… and context.… work too.',
        examples: ['total'],
      }),
    ),
    filters: Type.Optional(Filters),
  },
  { additionalProperties: false, title: 'Series' },
)

export const TrendQuery = Type.Object(
  {
    kind: Type.Literal('trend', { description: 'Kind of the query.' }),
    from: From,
    to: To,
    interval: OneOf(INTERVALS, {
      description:
        'Length of a bucket. Weeks start on Monday. By minute a query covers up to 7 days, by hour up to 366.',
    }),
    timeZone: Type.Optional(
      Type.String({
        maxLength: 64,
        default: 'UTC',
        description: 'IANA time zone whose clock and calendar align the buckets.',
        examples: ['Europe/Berlin'],
      }),
    ),
    compare: Type.Optional(
      OneOf(['previous'], {
        description:
          'Adds, to every point, the one a whole number of intervals earlier: the range moved back until it ends before it began.',
      }),
    ),
    series: Type.Array(Series, { minItems: 1, maxItems: LIMITS.series }),
    breakdown: Type.Optional(
      Type.Array(FieldName, {
        maxItems: LIMITS.breakdown,
        uniqueItems: true,
        description: 'Splits every series by the values of these fields.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LIMITS.groups,
        default: LIMITS.defaultGroups,
        description: 'Most groups of a breakdown per series, largest total first.',
      }),
    ),
  },
  {
    additionalProperties: false,
    title: 'Trend',
    examples: [TREND_QUERY],
  },
)
export type TrendQuery = Static<typeof TrendQuery>

/** Every kind of query, by `kind`. */
export const Query = Type.Union([TrendQuery])
export const QUERY_KINDS = ['trend'] as const

const Points = Type.Array(Type.Object({ time: Time, value: NumberOrNull }))

export const TrendAnswer = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        series: Type.Integer({ description: 'Index of the series in the query.' }),
        breakdown: Type.Unsafe<Record<string, unknown> | null>({
          type: ['object', 'null'],
          additionalProperties: true,
          description:
            'Value per breakdown field; null where the events have none. Arrays and objects are given as their JSON text.',
          examples: [{ 'geo.country': 'DE' }],
        }),
        total: {
          ...NumberOrNull,
          description: 'Over the whole range, computed from the events and not from the points.',
        },
        points: Points,
        previous: Type.Optional(Points),
        previousTotal: Type.Optional(NumberOrNull),
      }),
      {
        description:
          'One entry per series and group. Every bucket is present: without events count, sum and uniqueUsers are 0, the others null.',
      },
    ),
    groups: Type.Array(Type.Object({ series: Type.Integer(), shown: Type.Integer(), total: Type.Integer() }), {
      description: 'How many groups a breakdown has per series, and how many of them are shown.',
    }),
    meta: QueryMeta,
  },
  { description: 'One row per series and group, with every bucket of the range.', examples: [TREND_ANSWER] },
)
export type TrendAnswer = Static<typeof TrendAnswer>

export const UsageQuery = Type.Object(
  {
    from: Type.Optional(
      Type.Union(TimeInput.anyOf, { description: 'Start, inclusive; by default 30 days before `to`.' }),
    ),
    to: Type.Optional(Type.Union(TimeInput.anyOf, { description: 'End, exclusive; by default now.' })),
    interval: Type.Optional(
      OneOf(['hour', 'day', 'month'], { description: 'Length of a bucket, in UTC.', default: 'day' }),
    ),
  },
  { additionalProperties: false },
)
export type UsageQuery = Static<typeof UsageQuery>

const Quantity = {
  events: Type.Integer({ description: 'Events by their timestamp, each once.' }),
  billable: Type.Integer({ description: 'Events that count for the bill.' }),
}

export const UsageAnswer = Type.Object(
  {
    data: Type.Array(Type.Object({ time: Time, ...Quantity })),
    total: Type.Object(Quantity),
    completeThrough: QueryMeta.properties.completeThrough,
    meta: QueryMeta,
  },
  { description: 'Every bucket of the range and their total.', examples: [USAGE_ANSWER] },
)
export type UsageAnswer = Static<typeof UsageAnswer>
