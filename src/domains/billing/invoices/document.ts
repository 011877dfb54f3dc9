import { type Static, type TSchema, Type } from '@sinclair/typebox'

const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const Amount = (description: string) => Type.String({ description, pattern: '^-?\\d+$', examples: ['4900'] })
const Time = Type.String({ format: 'date-time' })
const Count = Type.String({ pattern: '^\\d+$' })

const PlanReference = Type.Object({
  key: Type.String(),
  version: Type.Integer(),
  isCustom: Type.Boolean(),
  name: Type.String(),
})

const Totals = {
  amount: Amount('Before discount and tax, minor units.'),
  discount: Amount('What coupons take off.'),
  net: Amount('amount − discount.'),
  tax: Amount('Tax on `net`.'),
  total: Amount('net + tax.'),
}

/** What a quantity was measured from: the same events give the same, whatever their order. */
const Measured = Type.Object({ quantity: Count, rowCount: Count, contentHash: Type.String() })

const Tier = Type.Object({
  from: Count,
  to: Count,
  quantity: Count,
  unitAmount: Type.String({ description: 'Minor units for each `per` units, decimal.' }),
  per: Count,
  flatAmount: Amount('Comes with the tier whatever its quantity.'),
  amount: Amount('Minor units.'),
})

const UsageSource = Type.Object({
  kind: Type.Literal('usage'),
  periodId: Type.String(),
  plan: PlanReference,
  isTrial: Type.Boolean(),
  receivedThrough: Time,
})
const AdjustmentSource = Type.Object({
  kind: Type.Literal('adjustment'),
  periodId: Type.String(),
  periodNumber: Type.Integer(),
  invoiceId: orNull(Type.String()),
  invoiceNumber: orNull(Type.String()),
  plan: PlanReference,
  isTrial: Type.Boolean(),
  receivedAfter: Time,
  receivedThrough: Time,
  before: Type.Composite([Measured, Type.Object({ amount: Amount('What was billed so far.') })]),
  after: Type.Composite([Measured, Type.Object({ amount: Amount('What all of it costs.') })]),
})
const ChargeSource = Type.Object({
  kind: Type.Literal('charge'),
  chargeId: Type.String(),
  plan: orNull(Type.Object({ key: Type.String(), version: Type.Integer(), isCustom: Type.Boolean() })),
})

export const InvoiceLine = Type.Object({
  position: Type.Integer(),
  kind: Type.String({ description: 'usage, adjustment, or the kind of the charge.' }),
  description: Type.String(),
  meter: orNull(Type.Object({ key: Type.String(), version: Type.Integer() })),
  from: orNull(Time),
  to: orNull(Time),
  quantity: orNull(Type.String({ description: 'A whole number; that of an adjustment may be negative.' })),
  rowCount: orNull(Count),
  contentHash: orNull(Type.String()),
  tiers: Type.Array(Tier),
  topUp: Amount('What was missing to the minimum of the price.'),
  ...Totals,
  source: Type.Union([UsageSource, AdjustmentSource, ChargeSource]),
})
export type InvoiceLine = Static<typeof InvoiceLine>

const Party = {
  name: Type.String(),
  address: Type.Array(Type.String()),
  taxId: orNull(Type.String()),
}
export const Seller = Type.Object(Party)
export type Seller = Static<typeof Seller>
export const Buyer = Type.Object({ ...Party, organizationId: Type.String(), email: orNull(Type.String()) })
export type Buyer = Static<typeof Buyer>

const Period = Type.Object({
  id: Type.String(),
  number: Type.Integer(),
  startsAt: Time,
  endsAt: Time,
  usageFrom: Time,
  usageTo: Time,
  isTrial: Type.Boolean(),
  plan: PlanReference,
})

const AppliedCoupon = Type.Object({
  id: Type.String(),
  code: Type.String(),
  period: Type.String({ description: 'In how many other billing periods it had been used.' }),
  discount: Amount('What it took off.'),
})

/** Everything that an invoice says. Its canonical text is what is stored, hashed, and computed again by a verification. */
export const InvoiceDocument = Type.Object(
  {
    format: Type.Literal('meterhouse.invoice.1'),
    number: orNull(Type.String()),
    issuedAt: orNull(Time),
    dueAt: orNull(Time),
    reason: Type.String(),
    currency: Type.String(),
    collectedBy: Type.Optional(
      Type.Literal('stripe', { description: 'Who collects what is due. Left out where it is to be paid by hand.' }),
    ),
    seller: Seller,
    buyer: Buyer,
    subscriptionId: orNull(Type.String()),
    period: orNull(Period),
    cutOff: Time,
    previousCutOff: orNull(Time),
    lines: Type.Array(InvoiceLine),
    coupons: Type.Array(AppliedCoupon),
    taxBasisPoints: Type.String(),
    ...Totals,
    creditApplied: Amount('Credit that was used; negative where the invoice gave some.'),
    amountDue: Amount('What is to be paid.'),
  },
  { description: 'The invoice.' },
)
export type InvoiceDocument = Static<typeof InvoiceDocument>
