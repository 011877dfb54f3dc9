import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { PlanTerms } from '../catalog/plan.ts'
import { Quantity } from '../pricing/price.ts'

const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

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
  },
  {
    additionalProperties: false,
    minProperties: 1,
    examples: [{ taxBasisPoints: 1900, limitOverride: { perPeriod: '20000000', mode: 'soft' } }],
  },
)
export type BillingTerms = Static<typeof BillingTerms>

export const CustomPlanInput = Type.Object(
  {
    planKey: Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Key of the plan.', examples: ['acme'] }),
    baseVersion: Type.Integer({
      minimum: 0,
      description: 'The version that the terms are written against; 0 for a new plan.',
    }),
    terms: PlanTerms,
  },
  { additionalProperties: false },
)

export const CouponMade = Type.Object(
  { code: Type.String(), summary: Type.String({ description: 'What it takes off, and for how long.' }) },
  { description: 'The coupon.', examples: [{ code: 'WELCOME', summary: '20 % off for 3 periods' }] },
)
