import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { MinorAmount, Price, Quantity } from '../pricing/price.ts'

const orNull = <Schema extends TSchema>(schema: Schema, description: string) =>
  Type.Union([schema, Type.Null()], { description })
const Limit = (description: string) => orNull(Type.Integer({ minimum: 1, maximum: 2_147_483_647 }), description)

/** What becomes of events beyond the limit of a period. */
const LIMIT_MODES = ['hard', 'soft', 'hold', 'sample'] as const

const Limits = Type.Object(
  {
    events: Type.Object(
      {
        perPeriod: orNull(Quantity, 'Events in one billing period; null has no limit.'),
        mode: Type.Union(
          LIMIT_MODES.map((mode) => Type.Literal(mode)),
          { description: 'Beyond it events are refused (hard), taken and billed (soft), held, or sampled.' },
        ),
      },
      { additionalProperties: false },
    ),
    projects: Limit('Projects; null has no limit.'),
    members: Limit('Members; null has no limit.'),
    retentionDays: Limit('How long events are kept; null keeps them for good.'),
    eventsPerSecond: Limit('Events in one second; null has no limit of its own.'),
  },
  { additionalProperties: false },
)

/** Everything that a plan says. A version holds it whole, so that it means the same for as long as somebody subscribes to it. */
export const PlanTerms = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, pattern: '\\S' }),
    description: Type.String({ maxLength: 500 }),
    currency: Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.', examples: ['USD'] }),
    interval: Type.Union([Type.Literal('month'), Type.Literal('year')], { description: 'The billing period.' }),
    basePrice: orNull(
      MinorAmount,
      'Minor units of the currency for each period, as a string; null is agreed with each customer.',
    ),
    metered: Type.Array(
      Type.Object(
        { meter: Type.String({ pattern: '^[a-z][a-z0-9_]{0,49}$', examples: ['events'] }), price: Price },
        { additionalProperties: false },
      ),
      { maxItems: 50, description: 'What use costs, by meter.' },
    ),
    trialDays: Type.Integer({ minimum: 0, maximum: 365 }),
    limits: Limits,
  },
  { additionalProperties: false },
)
export type PlanTerms = Static<typeof PlanTerms>

export const PLAN_EXAMPLE = {
  key: 'pro',
  version: 1,
  name: 'Pro',
  description: 'Five million events a month; what is used beyond them is billed by the event.',
  currency: 'USD',
  interval: 'month',
  basePrice: '4900',
  metered: [
    {
      meter: 'events',
      price: { model: 'graduated', included: '5000000', tiers: [{ upTo: null, unitAmount: '0.0012' }] },
    },
  ],
  trialDays: 14,
  limits: {
    events: { perPeriod: null, mode: 'soft' },
    projects: 20,
    members: 25,
    retentionDays: 730,
    eventsPerSecond: 2000,
  },
}

export const PlanSchema = Type.Object(
  {
    key: Type.String({ description: 'Key of the plan.' }),
    version: Type.Integer({ description: 'Grows with each change; subscriptions stay on theirs.' }),
    ...PlanTerms.properties,
  },
  { description: 'The plan as it is offered now.', examples: [PLAN_EXAMPLE] },
)
export type Plan = Static<typeof PlanSchema>
