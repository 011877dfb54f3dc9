import { type Static, Type } from '@sinclair/typebox'
import { OrganizationParams, PlainName } from '../../../http/schemas.ts'
import { FieldName, Filters, OneOf } from '../../insights/index.ts'
import { Decimal } from './decimal-text.ts'

export const AGGREGATIONS = ['count', 'sum', 'max', 'unique', 'latest'] as const
export type Aggregation = (typeof AGGREGATIONS)[number]

const KEY = '^[a-z][a-z0-9_]{0,49}$'

const Terms = {
  name: PlainName('What people call it.', 'API calls'),
  unit: Type.Optional(PlainName('What one of it is called.', 'call')),
  aggregation: OneOf(AGGREGATIONS, {
    description:
      'count: events. sum, max, latest: of the numbers at `property`; latest is that of the last event. unique: different values of `property`.',
  }),
  property: Type.Optional(
    Type.Intersect([FieldName], {
      description:
        'What is summed, compared or told apart; absent for count alone. `bytes` is short for `properties.bytes`.',
      examples: ['properties.bytes'],
    }),
  ),
  events: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
      minItems: 1,
      maxItems: 100,
      uniqueItems: true,
      description: 'Names of the events that are measured; absent for all.',
      examples: [['API called']],
    }),
  ),
  filters: Type.Optional(Filters),
  groupBy: Type.Optional(
    Type.Array(FieldName, { maxItems: 3, uniqueItems: true, description: 'Fields by which usage can be split.' }),
  ),
}

export const MeterDefinition = Type.Object(Terms, { additionalProperties: false })
export type MeterDefinition = Static<typeof MeterDefinition>

const MeterKey = Type.String({
  pattern: KEY,
  description: 'Key of the meter; prices refer to it.',
  examples: ['api_calls'],
})

export const MeterInput = Type.Object({ key: MeterKey, ...Terms }, { additionalProperties: false })
export type MeterInput = Static<typeof MeterInput>

export const MeterVersionInput = Type.Object(
  {
    baseVersion: Type.Integer({
      minimum: 1,
      maximum: 2_147_483_647,
      description: 'The version that this one was written against.',
    }),
    ...Terms,
  },
  { additionalProperties: false },
)
export type MeterVersionInput = Static<typeof MeterVersionInput>

export const MeterParams = Type.Object({
  ...OrganizationParams.properties,
  meterKey: Type.String({ pattern: KEY, description: 'Key of the meter.', examples: ['api_calls'] }),
})
export const MeterQuery = Type.Object(
  {
    version: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'Without it the newest.' })),
  },
  { additionalProperties: false },
)

const METER_EXAMPLE = {
  key: 'api_calls',
  version: 2,
  builtIn: false,
  name: 'API calls',
  unit: 'call',
  aggregation: 'count',
  property: null,
  events: ['API called'],
  filters: [{ field: 'properties.status', operator: 'lt', value: 500 }],
  groupBy: ['properties.region'],
  createdAt: '2026-01-31T12:00:00.000Z',
}

export const MeterSchema = Type.Object(
  {
    key: Type.String(),
    version: Type.Integer({ description: 'Grows with each change; an invoice keeps the one that it used.' }),
    builtIn: Type.Boolean({
      description: 'Whether every organization has it; only `events`, the count of all events, is.',
    }),
    name: Type.String(),
    unit: Type.Union([Type.String(), Type.Null()]),
    aggregation: Type.String({ description: AGGREGATIONS.join(', ') }),
    property: Type.Union([Type.String(), Type.Null()]),
    events: Type.Union([Type.Array(Type.String()), Type.Null()], { description: 'Null for all.' }),
    filters: Filters,
    groupBy: Type.Array(Type.String()),
    createdAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
  },
  { description: 'The meter.', examples: [METER_EXAMPLE] },
)
export type Meter = Static<typeof MeterSchema>

export const MeterPage = Type.Object(
  { data: Type.Array(MeterSchema), nextCursor: Type.Null() },
  { description: 'All meters, each in its newest version.', examples: [{ data: [METER_EXAMPLE], nextCursor: null }] },
)

export const PreviewInput = Type.Object(
  {
    ...Terms,
    days: Type.Integer({ minimum: 1, maximum: 31, default: 7, description: 'How many days back, today among them.' }),
  },
  { additionalProperties: false },
)
export type PreviewInput = Static<typeof PreviewInput>

const PreviewDay = Type.Object({
  day: Type.String({ format: 'date', description: 'UTC.' }),
  value: Decimal('What the meter says of the day.'),
  events: Type.String({ description: 'How many events it is made of.' }),
  skipped: Type.String({ description: 'How many more it would be made of if they had a usable value.' }),
})

export const PreviewAnswer = Type.Object(
  {
    data: Type.Array(PreviewDay, { description: 'The days that have any such event.' }),
    total: Type.Object({
      value: Decimal('What the meter says of all the days.'),
      events: Type.String(),
      skipped: Type.String(),
    }),
  },
  {
    description: 'What the meter would say.',
    examples: [
      {
        data: [{ day: '2026-01-31', value: '1250.5', events: '1200', skipped: '3' }],
        total: { value: '1250.5', events: '1200', skipped: '3' },
      },
    ],
  },
)
export type PreviewAnswer = Static<typeof PreviewAnswer>
