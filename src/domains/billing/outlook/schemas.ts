import { type Static, Type } from '@sinclair/typebox'

const Count = (description: string) => Type.String({ pattern: '^\\d+$', description })
const Amount = (description: string) => Type.String({ pattern: '^-?\\d+$', description })
const Time = Type.String({ format: 'date-time' })

const Forecast = Type.Union(
  [
    Type.Object({
      expected: Count('What will have been used at the end of the period.'),
      low: Count('With weeks or days like the slowest of the last ones.'),
      high: Count('With weeks or days like the busiest of the last ones.'),
      method: Type.String({
        description:
          'profile: by the hours of the week in the last two to four weeks. linear: as the period has been so far, while there is less history.',
      }),
    }),
    Type.Null(),
  ],
  { description: 'Null for a meter whose hours do not add up.' },
)

const MeterSummary = Type.Object({
  meter: Type.String(),
  used: Count('Units so far. Of a limit: by when events were received, as the limit counts.'),
  whole: Type.Union(
    [Type.Object({ kind: Type.String({ description: 'limit or included' }), quantity: Count('Units.') }), Type.Null()],
    { description: 'The limit of events, or what the price includes; null where there is neither.' },
  ),
  percent: Type.Union([Type.String(), Type.Null()], {
    description: '`used` of `whole`, with two digits, rounded down.',
  }),
  forecast: Forecast,
  reachesAt: Type.Union([Time, Type.Null()], {
    description: 'When `whole` is expected to be used up; null where not in this period, or already.',
  }),
})

export const UsageSummary = Type.Object(
  {
    asOf: Time,
    period: Type.Object({
      id: Type.String(),
      startsAt: Time,
      endsAt: Time,
      isTrial: Type.Boolean(),
      planKey: Type.String(),
      limitMode: Type.String({ description: 'What becomes of events beyond a limit.' }),
    }),
    meters: Type.Array(MeterSummary, { description: '`events`, and what the plan prices.' }),
    spend: Type.Object(
      {
        currency: Type.String(),
        soFar: Amount('Of what was received until now, minor units.'),
        forecast: Amount('With what the forecasts expect.'),
        low: Amount('With the low end of the forecasts.'),
        high: Amount('With the high end of the forecasts.'),
      },
      {
        description:
          'What the invoice of the period comes to before tax, after discounts. The price of the plan for the next period is not in it.',
      },
    ),
  },
  {
    description: 'The open billing period.',
    examples: [
      {
        asOf: '2026-01-16T12:00:00.000Z',
        period: {
          id: 'bpr_01jd7z3k9qf8v0m4c2t6n5w1xy',
          startsAt: '2026-01-01T00:00:00.000Z',
          endsAt: '2026-02-01T00:00:00.000Z',
          isTrial: false,
          planKey: 'free',
          limitMode: 'hard',
        },
        meters: [
          {
            meter: 'events',
            used: '60000',
            whole: { kind: 'limit', quantity: '100000' },
            percent: '60.00',
            forecast: { expected: '120000', low: '110000', high: '130000', method: 'profile' },
            reachesAt: '2026-01-26T15:00:00.000Z',
          },
        ],
        spend: { currency: 'USD', soFar: '0', forecast: '0', low: '0', high: '0' },
      },
    ],
  },
)
export type UsageSummary = Static<typeof UsageSummary>
