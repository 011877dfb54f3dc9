import type { Coupon } from '../pricing/coupon.ts'
import { totalsOf } from '../pricing/totals.ts'
import type { Buyer, InvoiceDocument, InvoiceLine, Seller } from './document.ts'
import {
  adjustmentLine,
  type BilledPeriod,
  type Charge,
  chargeLine,
  type LateUsage,
  planReference,
  type UnpricedLine,
  type Usage,
  usageLine,
} from './lines.ts'

export interface InvoiceInput {
  reason: string
  currency: string
  seller: Seller
  buyer: Buyer
  subscriptionId: string | null
  /** The period that the invoice closes. */
  period: BilledPeriod | null
  /** Events that were received later are for a later invoice. */
  cutOff: Date
  /** The cut-off of the period before; what came between the two for earlier periods is adjusted. */
  previousCutOff: Date | null
  usages: readonly Usage[]
  late: readonly LateUsage[]
  charges: readonly Charge[]
  /** In the order in which they count. */
  coupons: readonly { id: string; code: string; coupon: Coupon; period: bigint }[]
  taxBasisPoints: bigint
  /** What the organization has in credit. */
  credit: bigint
  /** Who collects it, with a claim of their own that this one is the proof of; null where it is to be paid by hand. */
  collectedBy: 'stripe' | null
  /** What finalization adds; a preview has none of it. */
  issue: { number: string; issuedAt: Date; dueAt: Date } | null
}

/**
 * The invoice that an input comes to. The same input gives the same text, so that an invoice can be computed again for as long as
 * plan versions, charges and events are kept.
 */
export function buildInvoice(input: InvoiceInput): InvoiceDocument {
  const { period, issue } = input
  const unpriced: UnpricedLine[] = [
    ...input.charges.map(chargeLine),
    ...(period ? input.usages.map((usage) => usageLine(usage, period, input.cutOff)) : []),
    ...input.late.map((late) => adjustmentLine(late, input)),
  ]
  const totals = totalsOf({
    lines: unpriced.map(({ amount }) => amount),
    coupons: input.coupons,
    taxBasisPoints: input.taxBasisPoints,
  })
  const { lines: parts, discounts, ...whole } = totals
  const creditApplied = input.collectedBy ? 0n : creditOf(input.credit, whole.total)
  return {
    format: 'meterhouse.invoice.1',
    number: issue?.number ?? null,
    issuedAt: issue?.issuedAt.toISOString() ?? null,
    dueAt: issue?.dueAt.toISOString() ?? null,
    reason: input.reason,
    currency: input.currency,
    ...(input.collectedBy && { collectedBy: input.collectedBy }),
    seller: input.seller,
    buyer: input.buyer,
    subscriptionId: input.subscriptionId,
    period: period && describePeriod(period),
    cutOff: input.cutOff.toISOString(),
    previousCutOff: input.previousCutOff?.toISOString() ?? null,
    lines: unpriced.map((line, index): InvoiceLine => ({ ...line, position: index + 1, ...texts(parts[index]) })),
    coupons: input.coupons.map(({ id, code, period: count }, index) => ({
      id,
      code,
      period: count.toString(),
      discount: String(discounts[index] ?? 0n),
    })),
    taxBasisPoints: input.taxBasisPoints.toString(),
    ...texts(whole),
    creditApplied: creditApplied.toString(),
    amountDue: (whole.total - creditApplied).toString(),
  }
}

/** Whether there is nothing to bill: a period without amounts closes without an invoice. */
export const isEmpty = ({ lines }: InvoiceDocument): boolean => lines.every(({ amount }) => amount === '0')

/** What of the credit an invoice uses: no more than it costs. One below nothing gives credit instead of money. */
export const creditOf = (credit: bigint, total: bigint): bigint => (credit < total ? credit : total)

function describePeriod({ id, number, isTrial, plan, ...times }: BilledPeriod): NonNullable<InvoiceDocument['period']> {
  return {
    id,
    number,
    startsAt: times.startsAt.toISOString(),
    endsAt: times.endsAt.toISOString(),
    usageFrom: times.usageFrom.toISOString(),
    usageTo: times.usageTo.toISOString(),
    isTrial,
    plan: planReference(plan),
  }
}

interface Parts {
  amount: bigint
  discount: bigint
  net: bigint
  tax: bigint
  total: bigint
}

function texts(parts: Parts | undefined) {
  if (!parts) throw new Error('a line has no totals')
  return {
    amount: parts.amount.toString(),
    discount: parts.discount.toString(),
    net: parts.net.toString(),
    tax: parts.tax.toString(),
    total: parts.total.toString(),
  }
}
