import { type Static, Type } from '@sinclair/typebox'

const Code = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9_-]{2,39}$',
  description: 'In any letter case.',
  examples: ['WELCOME'],
})
const Amount = Type.String({
  pattern: '^[1-9]\\d{0,14}$',
  description: 'Minor units of the currency.',
  examples: ['1000'],
})

const Duration = Type.Union(
  [
    Type.Object({ kind: Type.Literal('once') }, { additionalProperties: false }),
    Type.Object(
      { kind: Type.Literal('periods'), periods: Type.Integer({ minimum: 1, maximum: 1200 }) },
      { additionalProperties: false },
    ),
    Type.Object({ kind: Type.Literal('forever') }, { additionalProperties: false }),
  ],
  {
    description: `In how many billing periods it is used: one, that many, or all. A period counts only if the coupon took something off in it, so a
coupon that is redeemed on a free plan or in a trial waits. A share comes off every invoice of such a period, an amount off one of them, and
off no change of plan within it. A void invoice gives its use back.`,
  },
)

/** What a coupon takes off, as it is stored and sent: amounts are text. */
export const CouponTerms = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('percent'),
      basisPoints: Type.Integer({ minimum: 1, maximum: 10_000, description: 'Hundredths of a percent.' }),
      duration: Duration,
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      kind: Type.Literal('amount'),
      amount: Amount,
      currency: Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.', examples: ['USD'] }),
      duration: Duration,
    },
    { additionalProperties: false },
  ),
])
export type CouponTerms = Static<typeof CouponTerms>

export const CouponInput = Type.Object(
  {
    code: Code,
    terms: CouponTerms,
    redemptionsMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
    expiresAt: Type.Optional(Type.String({ format: 'date-time', description: 'Until when it can be redeemed.' })),
  },
  {
    additionalProperties: false,
    examples: [
      { code: 'WELCOME', terms: { kind: 'percent', basisPoints: 2000, duration: { kind: 'periods', periods: 3 } } },
    ],
  },
)
export type CouponInput = Static<typeof CouponInput>

export const Redemption = Type.Object(
  { code: Type.String({ minLength: 3, maxLength: 40, description: 'In any letter case.', examples: ['WELCOME'] }) },
  { additionalProperties: false, examples: [{ code: 'WELCOME' }] },
)
