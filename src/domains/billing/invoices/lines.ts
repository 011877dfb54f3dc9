import type { Plan } from '../catalog/schemas.ts'
import type { Price } from '../pricing/price.ts'
import { type Priced, priceOf } from '../pricing/price-of.ts'
import type { InvoiceLine } from './document.ts'

/** A plan as a subscription has it. */
export type BilledPlan = Plan & { isCustom: boolean }

export interface BilledPeriod {
  id: string
  number: number
  startsAt: Date
  endsAt: Date
  /** Whole hours; what is used belongs to the period by the time of the event. */
  usageFrom: Date
  usageTo: Date
  isTrial: boolean
  /** The one in force at its end, by which its usage is priced as a whole. */
  plan: BilledPlan
}

/** What a meter counted, and from which events. */
export interface Measured {
  quantity: bigint
  rowCount: bigint
  contentHash: string
  meterVersion: number
}

export interface Usage {
  meter: string
  price: Price
  measured: Measured
}

/** What came too late for the invoice of an earlier period. */
export interface LateUsage {
  period: BilledPeriod
  invoice: { id: string; number: string | null } | null
  meter: string
  price: Price
  before: Measured
  after: Measured
}

export interface Charge {
  id: string
  kind: string
  description: string
  amount: bigint
  from: Date | null
  to: Date | null
  plan: { key: string; version: number; isCustom: boolean } | null
}

/** A line before discounts and tax are given to it. */
export type UnpricedLine = Omit<InvoiceLine, 'position' | 'amount' | 'discount' | 'net' | 'tax' | 'total'> & {
  amount: bigint
}

const NOTHING: Priced = { amount: 0n, tiers: [], topUp: 0n }
const priced = (price: Price, isTrial: boolean, quantity: bigint): Priced =>
  isTrial ? NOTHING : priceOf(price, quantity)

export const planReference = ({ key, version, isCustom, name }: BilledPlan) => ({ key, version, isCustom, name })

export function usageLine({ meter, price, measured }: Usage, period: BilledPeriod, cutOff: Date): UnpricedLine {
  const { amount, tiers, topUp } = priced(price, period.isTrial, measured.quantity)
  return {
    kind: 'usage',
    description: `${period.plan.name}: ${meter}${period.isTrial ? ' (trial)' : ''}`,
    meter: { key: meter, version: measured.meterVersion },
    from: period.usageFrom.toISOString(),
    to: period.usageTo.toISOString(),
    quantity: measured.quantity.toString(),
    rowCount: measured.rowCount.toString(),
    contentHash: measured.contentHash,
    tiers: tiers.map(tierTexts),
    topUp: topUp.toString(),
    amount,
    source: {
      kind: 'usage',
      periodId: period.id,
      plan: planReference(period.plan),
      isTrial: period.isTrial,
      receivedThrough: cutOff.toISOString(),
    },
  }
}

/** What late events change in an earlier period: all of it by that period's plan, less all that was billed. */
export function adjustmentLine(
  { period, invoice, meter, price, before, after }: LateUsage,
  { cutOff, previousCutOff }: { cutOff: Date; previousCutOff: Date | null },
): UnpricedLine {
  if (!previousCutOff) throw new Error('nothing can be late for the first period')
  const [billed, all] = [before, after].map(({ quantity }) => priced(price, period.isTrial, quantity).amount)
  const [was, is] = [billed ?? 0n, all ?? 0n]
  return {
    kind: 'adjustment',
    description: `${period.plan.name}: ${meter}, received late for ${dayOf(period.startsAt)} to ${dayOf(period.endsAt)}`,
    meter: { key: meter, version: after.meterVersion },
    from: period.usageFrom.toISOString(),
    to: period.usageTo.toISOString(),
    quantity: (after.quantity - before.quantity).toString(),
    rowCount: (after.rowCount - before.rowCount).toString(),
    contentHash: after.contentHash,
    tiers: [],
    topUp: '0',
    amount: is - was,
    source: {
      kind: 'adjustment',
      periodId: period.id,
      periodNumber: period.number,
      invoiceId: invoice?.id ?? null,
      invoiceNumber: invoice?.number ?? null,
      plan: planReference(period.plan),
      isTrial: period.isTrial,
      receivedAfter: previousCutOff.toISOString(),
      receivedThrough: cutOff.toISOString(),
      before: { ...measuredTexts(before), amount: was.toString() },
      after: { ...measuredTexts(after), amount: is.toString() },
    },
  }
}

export const chargeLine = ({ id, kind, description, amount, from, to, plan }: Charge): UnpricedLine => ({
  kind,
  description,
  meter: null,
  from: from?.toISOString() ?? null,
  to: to?.toISOString() ?? null,
  quantity: null,
  rowCount: null,
  contentHash: null,
  tiers: [],
  topUp: '0',
  amount,
  source: { kind: 'charge', chargeId: id, plan },
})

const dayOf = (time: Date) => time.toISOString().slice(0, 10)

const measuredTexts = ({ quantity, rowCount, contentHash }: Measured) => ({
  quantity: quantity.toString(),
  rowCount: rowCount.toString(),
  contentHash,
})

const tierTexts = ({ from, to, quantity, unitAmount, per, flatAmount, amount }: Priced['tiers'][number]) => ({
  from: from.toString(),
  to: to.toString(),
  quantity: quantity.toString(),
  unitAmount,
  per: per.toString(),
  flatAmount: flatAmount.toString(),
  amount: amount.toString(),
})
