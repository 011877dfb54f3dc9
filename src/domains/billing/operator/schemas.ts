import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { PLAN_EXAMPLE, PlanTerms } from '../catalog/plan.ts'
import { Quantity } from '../pricing/price.ts'

const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

const REASON = 'Agreed by phone on 1 February.'
const Reason = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '^[^\\p{Cc}]*[^\\p{Cc}\\s][^\\p{Cc}]*$',
  description: 'Why; it is in the audit log of the organization, where its members read it.',
  examples: [REASON],
})

export const ReasonInput = Type.Object(
  { reason: Reason },
  { additionalProperties: false, examples: [{ reason: REASON }] },
)

export const AssignmentInput = Type.Object(
  {
    planKey: Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Key of a plan.', examples: ['pro'] }),
    version: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'The newest where it is left out.' }),
    ),
    isCustom: Type.Boolean({ description: 'Whether the plan is one that was agreed with the organization.' }),
    reason: Reason,
  },
  { additionalProperties: false, examples: [{ planKey: 'acme-2026', isCustom: true, reason: REASON }] },
)

const LimitOverride = Type.Object(
  {
    perPeriod: Nullable(Quantity),
    mode: Type.Union([Type.Literal('hard'), Type.Literal('soft'), Type.Literal('hold'), Type.Literal('sample')]),
  },
  { additionalProperties: false },
)

/** What only the operator sets in a billing account. */
export const BillingTerms = Type.Object(
  {
    taxBasisPoints: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10_000,
        description: 'Tax on top of the prices, in hundredths of a percent.',
      }),
    ),
    limitOverride: Type.Optional(Nullable(LimitOverride)),
    reason: Reason,
  },
  {
    additionalProperties: false,
    minProperties: 2,
    examples: [{ taxBasisPoints: 1900, limitOverride: { perPeriod: '20000000', mode: 'soft' }, reason: REASON }],
  },
)
export type BillingTerms = Static<typeof BillingTerms>

const { key: _key, version: _version, ...TERMS_EXAMPLE } = PLAN_EXAMPLE
const BaseVersion = Type.Integer({
  minimum: 0,
  maximum: 2_147_483_647,
  description: 'The version that the terms are written against; 0 for a new plan.',
})

export const CustomPlanInput = Type.Object(
  {
    planKey: Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Key of the plan.', examples: ['acme'] }),
    baseVersion: BaseVersion,
    terms: PlanTerms,
    reason: Reason,
  },
  {
    additionalProperties: false,
    examples: [{ planKey: 'acme', baseVersion: 0, terms: TERMS_EXAMPLE, reason: REASON }],
  },
)

export const PlanVersionInput = Type.Object(
  { baseVersion: BaseVersion, terms: PlanTerms },
  { additionalProperties: false, examples: [{ baseVersion: 1, terms: TERMS_EXAMPLE }] },
)

export const OfferInput = Type.Object(
  { offered: Type.Boolean({ description: 'Whether everybody may choose the plan. Who is on it keeps it.' }) },
  { additionalProperties: false, examples: [{ offered: true }] },
)

export const OfferedPlan = Type.Object(
  { key: Type.String(), offered: Type.Boolean() },
  { description: 'Whether the plan is on offer.', examples: [{ key: 'pro', offered: true }] },
)

export const CouponMade = Type.Object(
  { code: Type.String(), summary: Type.String({ description: 'What it takes off, and for how long.' }) },
  { description: 'The coupon.', examples: [{ code: 'WELCOME', summary: '20 % off for 3 periods' }] },
)
