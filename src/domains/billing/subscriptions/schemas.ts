import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { PLAN_EXAMPLE, PlanSchema } from '../catalog/plan.ts'
import type { Course } from './course.ts'
import type { Charge, Period } from './records.ts'

const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const Time = (description: string) => Type.String({ format: 'date-time', description })
const literals = <const Names extends string[]>(...names: Names) =>
  names.map((name) => Type.Literal(name as Names[number]))

export const SignedAmount = Type.String({
  pattern: '^(0|-?[1-9]\\d{0,17})$',
  description: 'Minor units of the currency (cents), as a string; a credit is negative.',
  examples: ['4900'],
})

const PeriodView = Type.Object({
  id: Type.String(),
  number: Type.Integer({ description: 'From 0 on, in each subscription.' }),
  startsAt: Time('Inclusive.'),
  endsAt: Time('Exclusive.'),
  usageFrom: Time('Events with a time from here on are billed in the period.'),
  usageTo: Time('Exclusive.'),
  isTrial: Type.Boolean(),
})

const PERIOD_EXAMPLE = {
  id: 'bpr_01jd7z3k9qf8v0m4c2t6n5w1xy',
  number: 3,
  startsAt: '2026-01-31T09:30:00.000Z',
  endsAt: '2026-02-28T09:30:00.000Z',
  usageFrom: '2026-01-31T09:00:00.000Z',
  usageTo: '2026-02-28T09:00:00.000Z',
  isTrial: false,
}

const Pending = Type.Object({ plan: PlanSchema, isCustom: Type.Boolean(), startsAt: Time('When it takes effect.') })

export const SubscriptionSchema = Type.Object(
  {
    id: Type.String(),
    status: Type.Union(literals('trialing', 'active', 'paused', 'canceled')),
    plan: PlanSchema,
    isCustom: Type.Boolean({ description: 'Whether the plan was agreed with this organization.' }),
    provider: Type.Union(literals('manual', 'stripe'), { description: 'Who collects what is owed.' }),
    timeZone: Type.String({ description: 'Whose clock and calendar the periods follow.' }),
    startedAt: Time('When the subscription began.'),
    trialEndsAt: Nullable(Time('When the trial ends, or ended.')),
    pausedAt: Nullable(Time('Since when nothing is taken.')),
    cancelAtPeriodEnd: Type.Boolean({ description: 'Whether it ends with the period.' }),
    pending: Nullable(Pending),
    period: Nullable(PeriodView),
  },
  {
    description: 'What the organization is on. Without a period it is paused, and what was paid has run out.',
    examples: [
      {
        id: 'sub_01jd7z3k9qf8v0m4c2t6n5w1xy',
        status: 'active',
        plan: PLAN_EXAMPLE,
        isCustom: false,
        provider: 'manual',
        timeZone: 'America/New_York',
        startedAt: '2025-10-31T08:30:00.000Z',
        trialEndsAt: null,
        pausedAt: null,
        cancelAtPeriodEnd: false,
        pending: null,
        period: PERIOD_EXAMPLE,
      },
    ],
  },
)
export type Subscription = Static<typeof SubscriptionSchema>

const ChargeView = Type.Object({
  kind: Type.Union(literals('base', 'proration_charge', 'proration_credit', 'one_time', 'credit')),
  description: Type.String(),
  amount: SignedAmount,
  currency: Type.String(),
  from: Time('Start of what it is for.'),
  to: Time('Exclusive.'),
})

export const ChangePreview = Type.Object(
  {
    effective: Type.Union(literals('now', 'period_end')),
    effectiveAt: Time('When the plan would change.'),
    plan: PlanSchema,
    charges: Type.Array(ChargeView, { description: 'What would be owed then, before coupons and tax; usage aside.' }),
    total: SignedAmount,
    currency: Type.String(),
    period: Nullable(PeriodView),
  },
  {
    description: 'What the change would come to at this moment.',
    examples: [
      {
        effective: 'now',
        effectiveAt: '2026-02-14T09:30:00.000Z',
        plan: PLAN_EXAMPLE,
        charges: [
          {
            kind: 'proration_charge',
            description: 'Pro, remaining time',
            amount: '2450',
            currency: 'USD',
            from: '2026-02-14T09:30:00.000Z',
            to: '2026-02-28T09:30:00.000Z',
          },
        ],
        total: '2450',
        currency: 'USD',
        period: PERIOD_EXAMPLE,
      },
    ],
  },
)
export type ChangePreview = Static<typeof ChangePreview>

const PlanKey = Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Key of a plan.', examples: ['pro'] })
export const PlanChoice = Type.Object(
  { planKey: PlanKey },
  { additionalProperties: false, examples: [{ planKey: 'pro' }] },
)

export const PlanAssignment = Type.Object(
  {
    planKey: PlanKey,
    version: Type.Optional(Type.Integer({ minimum: 1, description: 'The newest where it is left out.' })),
    isCustom: Type.Boolean({ description: 'Whether the plan is one that was agreed with the organization.' }),
  },
  { additionalProperties: false, examples: [{ planKey: 'acme-2026', isCustom: true }] },
)

const timeOf = (time: Date | null): string | null => time?.toISOString() ?? null

export const toPeriodView = ({ id, number, startsAt, endsAt, usageFrom, usageTo, isTrial }: Period) => ({
  ...{ id, number, isTrial },
  startsAt: startsAt.toISOString(),
  endsAt: endsAt.toISOString(),
  usageFrom: usageFrom.toISOString(),
  usageTo: usageTo.toISOString(),
})

export const toChargeView = ({ kind, description, amount, currency, fromAt, toAt }: Charge) => ({
  ...{ kind, description, currency },
  amount: String(amount),
  from: fromAt.toISOString(),
  to: toAt.toISOString(),
})

export function toSubscription({ subscription, agreed, pending, period }: Course): Subscription {
  const { id, status, provider, timeZone, startedAt, trialEndsAt, pausedAt, cancelAtPeriodEnd } = subscription
  return {
    ...{ id, status, ...agreed, provider, timeZone, cancelAtPeriodEnd },
    startedAt: startedAt.toISOString(),
    trialEndsAt: timeOf(trialEndsAt),
    pausedAt: timeOf(pausedAt),
    pending: pending && { ...pending, startsAt: (period?.endsAt ?? startedAt).toISOString() },
    period: period && toPeriodView(period),
  }
}
