import { type Static, Type } from '@sinclair/typebox'
import { PLAN_EXAMPLE, PlanTerms } from '../catalog/plan.ts'

const { key: _key, version: _version, ...TERMS_EXAMPLE } = PLAN_EXAMPLE
const SignedAmount = Type.String({
  pattern: '^(0|-?[1-9]\\d*)$',
  description: 'Minor units of the currency (cents), as a string; a credit is negative.',
  examples: ['4900'],
})
const PlanKey = Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Key of a plan.', examples: ['pro'] })
const Periods = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 24, default: 12, description: 'How many of the last periods.' }),
)
const DRAFT = { planKey: Type.Optional(PlanKey), terms: Type.Optional(PlanTerms), periods: Periods }

export const BacktestInput = Type.Object(DRAFT, {
  additionalProperties: false,
  description: 'A plan by its key, or terms that are no plan yet: one of the two.',
  examples: [{ planKey: 'pro', periods: 3 }, { terms: { ...TERMS_EXAMPLE, basePrice: '5900' } }],
})
export type BacktestInput = Static<typeof BacktestInput>

export const FleetBacktestInput = Type.Object(
  {
    ...DRAFT,
    onPlan: Type.Optional(
      Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Only organizations that had a period on it.' }),
    ),
  },
  { additionalProperties: false, examples: [{ planKey: 'pro', onPlan: 'free', periods: 1 }] },
)
export type FleetBacktestInput = Static<typeof FleetBacktestInput>

const Line = Type.Object({
  kind: Type.String({ description: 'base or usage.' }),
  description: Type.String(),
  meter: Type.Union([Type.Object({ key: Type.String(), version: Type.Integer() }), Type.Null()]),
  quantity: Type.Union([Type.String(), Type.Null()]),
  amount: SignedAmount,
})
const Sums = {
  billed: SignedAmount,
  draft: SignedAmount,
  difference: Type.String({ pattern: '^(0|-?[1-9]\\d*)$', description: 'draft − billed: above 0 costs more.' }),
}
const Reason = Type.Union([Type.Literal('interval'), Type.Literal('currency'), Type.Literal('meter')], {
  description: 'Its plan has another interval or currency, or the organization lacks a meter of the draft.',
})
const PERIOD = {
  periodId: 'bpr_01jd7z3k9qf8v0m4c2t6n5w1xy',
  startsAt: '2026-01-31T09:30:00.000Z',
  endsAt: '2026-02-28T09:30:00.000Z',
  plan: { key: 'pro', version: 1, isCustom: false },
  billed: '4900',
  draft: '5900',
  difference: '1000',
  lines: [{ kind: 'base', description: 'Pro', meter: null, quantity: null, amount: '5900' }],
}

export const BacktestResult = Type.Object(
  {
    currency: Type.String({ description: 'Of the draft; all amounts are before coupons and tax.' }),
    ...Sums,
    periods: Type.Array(
      Type.Object({
        periodId: Type.String(),
        startsAt: Type.String({ format: 'date-time' }),
        endsAt: Type.String({ format: 'date-time' }),
        plan: Type.Object({ key: Type.String(), version: Type.Integer(), isCustom: Type.Boolean() }),
        ...Sums,
        lines: Type.Array(Line, { description: 'Of the draft.' }),
      }),
    ),
    skipped: Type.Array(Type.Object({ periodId: Type.String(), reason: Reason })),
  },
  {
    description: 'What was billed for each period, and what the draft would have cost, the oldest first.',
    examples: [{ currency: 'USD', billed: '4900', draft: '5900', difference: '1000', periods: [PERIOD], skipped: [] }],
  },
)
export type BacktestResult = Static<typeof BacktestResult>

const Organization = Type.Object({ organizationId: Type.String(), ...Sums })
const FLEET_EXAMPLE = {
  currency: 'USD',
  organizations: 2,
  periods: 3,
  skippedPeriods: { interval: 1, currency: 0, meter: 0 },
  billed: '9800',
  draft: '10800',
  difference: '1000',
  winners: 0,
  losers: 1,
  unchanged: 1,
  largest: [{ organizationId: 'org_01jd7z3k9qf8v0m4c2t6n5w1xy', billed: '4900', draft: '5900', difference: '1000' }],
}

export const FleetBacktestResult = Type.Object(
  {
    currency: Type.String({ description: 'Of the draft; all amounts are before coupons and tax.' }),
    organizations: Type.Integer({ description: 'With a period that could be compared.' }),
    periods: Type.Integer(),
    skippedPeriods: Type.Object({ interval: Type.Integer(), currency: Type.Integer(), meter: Type.Integer() }),
    ...Sums,
    winners: Type.Integer({ description: 'Organizations that would have paid less.' }),
    losers: Type.Integer({ description: 'Organizations that would have paid more.' }),
    unchanged: Type.Integer(),
    largest: Type.Array(Organization, { description: 'The largest differences, up or down.' }),
  },
  { description: 'What a draft would have changed for everybody.', examples: [FLEET_EXAMPLE] },
)
export type FleetBacktestResult = Static<typeof FleetBacktestResult>
