import { toCoupon } from '../coupons/terms.ts'
import type { InvoiceInput } from './build.ts'
import type { CountedCoupon } from './coupon-uses.ts'
import type { Buyer, InvoiceDocument, Seller } from './document.ts'
import { type Measurement, type Measurements, type StoredCharge, toCharge } from './gathering.ts'

/** What the database knows about an invoice beside events and plans. */
export interface Facts {
  buyer: Buyer
  taxBasisPoints: bigint
  /** Of everything that the organization is billed; null as long as nothing has cost anything. */
  currency: string | null
  charges: readonly (StoredCharge & { subscriptionId: string; currency: string; createdAt: Date })[]
  coupons: readonly CountedCoupon[]
  credit: bigint
  collectedBy: 'stripe' | null
}

interface OfPeriod {
  seller: Seller
  subscriptionId: string
  facts: Facts
  measurements: Measurements
  measurement: Pick<Measurement, 'cutOff' | 'previousCutOff'>
}

/** The invoice that closes a period: its usage, what came late for earlier ones, and the charges that waited for its end. */
export function periodInput({ seller, subscriptionId, facts, measurements, measurement }: OfPeriod): InvoiceInput {
  const { period, usages, late } = measurements
  const { cutOff, previousCutOff } = measurement
  // What comes late can be on the invoice of a period on a free plan, whose terms name a currency that nobody chose.
  const currency = facts.currency ?? period.plan.currency
  return {
    ...common(facts, seller),
    reason: 'period',
    currency,
    subscriptionId,
    period,
    cutOff,
    previousCutOff,
    usages,
    late,
    coupons: couponsIn(facts, currency),
  }
}

/** The invoice over charges that do not wait: of a start, or of a change in the middle of a period. */
export function chargesInput(facts: Facts, seller: Seller): InvoiceInput {
  const [first] = facts.charges
  if (!first) throw new Error('there are no charges')
  const kinds = facts.charges.map(({ kind }) => kind)
  const reason = kinds.includes('base')
    ? 'start'
    : kinds.some((kind) => kind.startsWith('proration'))
      ? 'change'
      : 'manual'
  // A fixed amount comes off what a period begins with; a share comes off everything.
  const coupons = couponsIn(facts, first.currency).filter(
    ({ coupon }) => reason === 'start' || coupon.kind === 'percent',
  )
  return {
    ...common(facts, seller),
    reason,
    currency: first.currency,
    subscriptionId: first.subscriptionId,
    period: null,
    cutOff: billedAt(facts.charges),
    previousCutOff: null,
    usages: [],
    late: [],
    coupons,
  }
}

/** The time of the last charge: what an invoice over charges alone has in the place of a cut-off. */
export const billedAt = (charges: readonly { createdAt: Date }[]): Date =>
  new Date(Math.max(...charges.map(({ createdAt }) => createdAt.getTime())))

/** What Stripe collects has neither our tax nor our coupons nor our credit: the document says what Stripe's invoice says. */
const common = ({ buyer, taxBasisPoints, charges, credit, collectedBy }: Facts, seller: Seller) => ({
  seller,
  buyer,
  collectedBy,
  taxBasisPoints: collectedBy ? 0n : taxBasisPoints,
  credit,
  charges: charges.map(toCharge),
  issue: null,
})

/** A share counts in any currency, an amount in its own. */
const couponsIn = ({ coupons, collectedBy }: Facts, currency: string): InvoiceInput['coupons'] =>
  coupons
    .filter(() => collectedBy === null)
    .filter((one) => one.currency === null || one.currency === currency)
    .map(({ id, code, coupon, period }) => ({ id, code, coupon: toCoupon(coupon), period }))

const AMOUNTS = ['amount', 'discount', 'net', 'tax', 'total', 'creditApplied', 'amountDue'] as const
type AmountName = (typeof AMOUNTS)[number]

/** The columns of an invoice that say again what its document says. */
export const amountsOf = (document: InvoiceDocument): Record<AmountName, bigint> =>
  Object.fromEntries(AMOUNTS.map((name) => [name, BigInt(document[name])])) as Record<AmountName, bigint>

/** The rows of an invoice's lines, which say again what its document says. */
export function lineRows(organizationId: string, invoiceId: string, { lines }: InvoiceDocument) {
  return lines.map((line) => ({
    organizationId,
    invoiceId,
    position: line.position,
    kind: line.kind,
    description: line.description,
    meterKey: line.meter?.key ?? null,
    meterVersion: line.meter?.version ?? null,
    fromAt: line.from === null ? null : new Date(line.from),
    toAt: line.to === null ? null : new Date(line.to),
    quantity: line.quantity,
    amount: BigInt(line.amount),
    discount: BigInt(line.discount),
    net: BigInt(line.net),
    tax: BigInt(line.tax),
    total: BigInt(line.total),
    rowCount: line.rowCount,
    contentHash: line.contentHash,
    source: line.source,
  }))
}
