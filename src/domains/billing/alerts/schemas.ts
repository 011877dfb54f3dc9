import { type Static, Type } from '@sinclair/typebox'
import { OrganizationParams } from '../../../http/schemas.ts'
import { OneOf } from '../../insights/index.ts'

const KINDS = ['percent', 'quantity', 'spend', 'pace'] as const
const Kind = OneOf(KINDS, {
  description: `percent: of the limit of events, or of what the price includes. quantity: units of the meter. spend: what the next invoice
comes to before tax, minor units of the currency. pace: percent that the forecast for the end of the period comes to; it is heard from the
tenth part of the period on.`,
})
const Threshold = Type.String({
  pattern: '^[1-9]\\d{0,17}$',
  description: 'Percent up to 1000, units, or minor units.',
  examples: ['80'],
})
const orNull = <Schema extends ReturnType<typeof Type.String>>(schema: Schema, description: string) =>
  Type.Union([schema, Type.Null()], { description })

export const AlertInput = Type.Object(
  {
    kind: Kind,
    meter: Type.Optional(
      Type.String({
        pattern: '^[a-z][a-z0-9_]{0,49}$',
        description: 'Key of the meter; `events` where it is left out. Not for spend.',
        examples: ['events'],
      }),
    ),
    threshold: Threshold,
  },
  { additionalProperties: false, examples: [{ kind: 'percent', meter: 'events', threshold: '60' }] },
)
export type AlertInput = Static<typeof AlertInput>

const Fired = Type.Union(
  [
    Type.Object({
      at: Type.String({ format: 'date-time' }),
      value: Type.String({ description: 'What was there then.' }),
      mailed: Type.Boolean({ description: 'Of several that are crossed at once the highest is mailed.' }),
    }),
    Type.Null(),
  ],
  { description: 'When the open period crossed it; null while it has not.' },
)

export const AlertSchema = Type.Object(
  {
    id: orNull(Type.String(), 'Null for one that everybody has.'),
    kind: Kind,
    meter: orNull(Type.String(), 'Null for spend.'),
    threshold: Type.String(),
    builtIn: Type.Boolean(),
    createdAt: orNull(Type.String({ format: 'date-time' }), 'Null for one that everybody has.'),
    fired: Fired,
  },
  {
    title: 'UsageAlert',
    examples: [
      {
        id: 'alt_01jd7z3k9qf8v0m4c2t6n5w1xy',
        kind: 'percent',
        meter: 'events',
        threshold: '60',
        builtIn: false,
        createdAt: '2026-01-31T12:00:00.000Z',
        fired: { at: '2026-01-31T13:00:00.000Z', value: '61044', mailed: true },
      },
    ],
  },
)
export type AlertAnswer = Static<typeof AlertSchema>

export const AlertPage = Type.Object(
  { data: Type.Array(AlertSchema), nextCursor: Type.Null() },
  {
    description: 'Those that everybody has, then those that were made.',
    examples: [{ data: AlertSchema.examples, nextCursor: null }],
  },
)

export const AlertParams = Type.Object({
  ...OrganizationParams.properties,
  alertId: Type.String({
    pattern: '^alt_[0-9a-z]{26}$',
    description: 'Id of the alert.',
    examples: ['alt_01jd7z3k9qf8v0m4c2t6n5w1xy'],
  }),
})
