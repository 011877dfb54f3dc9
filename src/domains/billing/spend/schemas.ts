import { type Static, Type } from '@sinclair/typebox'
import { OneOf } from '../../insights/index.ts'

const Amount = (description: string) => Type.String({ pattern: '^-?\\d+$', description })
const Time = Type.String({ format: 'date-time' })
const Currency = Type.Union([Type.String(), Type.Null()], { description: 'Null where there is nothing billed.' })

export const SpendQuery = Type.Object(
  { limit: Type.Integer({ minimum: 1, maximum: 24, default: 12, description: 'How many periods, the last ones.' }) },
  { additionalProperties: false },
)

const SpendPeriod = Type.Object({
  periodId: Type.String(),
  startsAt: Time,
  endsAt: Time,
  planKey: Type.String({ description: 'The plan that prices its usage.' }),
  status: Type.String({ description: 'open, ended or invoiced' }),
  currency: Currency,
  charges: Amount('Prices of plans and changes, minor units. The price of a plan is billed ahead of its period.'),
  usage: Amount('What was used in the period.'),
  adjustments: Amount('What came late for periods before.'),
  discount: Amount('What coupons take off.'),
  net: Amount('Before tax.'),
  tax: Amount('Tax on `net`.'),
  total: Amount('net + tax.'),
  credited: Amount('What credit notes took back later.'),
  isEstimate: Type.Boolean({ description: 'Whether the period is not billed yet: it says what it comes to so far.' }),
  invoices: Type.Array(Type.Object({ id: Type.String(), number: Type.String() })),
})
export type SpendPeriod = Static<typeof SpendPeriod>

const PERIOD_EXAMPLE = {
  periodId: 'bpr_01jd7z3k9qf8v0m4c2t6n5w1xy',
  startsAt: '2026-01-01T00:00:00.000Z',
  endsAt: '2026-02-01T00:00:00.000Z',
  planKey: 'pro',
  status: 'invoiced',
  currency: 'USD',
  charges: '4900',
  usage: '240',
  adjustments: '0',
  discount: '0',
  net: '5140',
  tax: '977',
  total: '6117',
  credited: '0',
  isEstimate: false,
  invoices: [{ id: 'inv_01jd7z3k9qf8v0m4c2t6n5w1xy', number: 'INV-000042' }],
}

export const SpendAnswer = Type.Object(
  { data: Type.Array(SpendPeriod) },
  { description: 'The periods, newest first.', examples: [{ data: [PERIOD_EXAMPLE] }] },
)

export const PartsQuery = Type.Object(
  {
    by: OneOf(['project', 'event'] as const, { default: 'project', description: 'What each line is of.' }),
    periodId: Type.Optional(
      Type.String({ pattern: '^bpr_[0-9a-z]{26}$', description: 'The period; without it the one that is open.' }),
    ),
  },
  { additionalProperties: false },
)

const SpendPart = Type.Object({
  key: Type.Union([Type.String(), Type.Null()], {
    description: 'Id of the project or name of the event; null for what is billed though nothing was used.',
  }),
  meter: Type.String(),
  value: Type.String({ description: 'What the meter says of it.' }),
  events: Type.String({ description: 'How many events that is made of.' }),
  amount: Amount('Its share by value of what the meter costs, after discounts and before tax.'),
})
export type SpendPart = Static<typeof SpendPart>

export const SpendParts = Type.Object(
  {
    periodId: Type.String(),
    by: Type.String(),
    currency: Currency,
    data: Type.Array(SpendPart),
    total: Amount('What the usage of the period costs: the sum of the lines, exactly.'),
  },
  {
    description: 'What usage was spent on.',
    examples: [
      {
        periodId: PERIOD_EXAMPLE.periodId,
        by: 'event',
        currency: 'USD',
        data: [{ key: 'API called', meter: 'events', value: '5200000', events: '5200000', amount: '240' }],
        total: '240',
      },
    ],
  },
)
export type SpendParts = Static<typeof SpendParts>
