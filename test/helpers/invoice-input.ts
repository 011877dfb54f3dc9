import type { InvoiceInput } from '../../src/domains/billing/invoices/build.ts'
import type { BilledPeriod, Charge, LateUsage, Measured, Usage } from '../../src/domains/billing/invoices/lines.ts'
import type { Price } from '../../src/domains/billing/pricing/price.ts'

/** A price with every part: included units, tiers with fractions of a unit, and a flat amount. */
export const PRICE: Price = {
  model: 'graduated',
  included: '100',
  tiers: [
    { upTo: '1000', unitAmount: '0.35' },
    { upTo: null, unitAmount: '0.123456', flatAmount: '25' },
  ],
}

const PLAN: BilledPeriod['plan'] = {
  key: 'pro',
  version: 1,
  isCustom: false,
  name: 'Pro',
  description: '',
  currency: 'USD',
  interval: 'month',
  basePrice: '4900',
  metered: [{ meter: 'events', price: PRICE }],
  trialDays: 0,
  limits: {
    events: { perPeriod: null, mode: 'soft' },
    projects: null,
    members: null,
    retentionDays: null,
    eventsPerSecond: null,
  },
}

/** The n-th calendar month from December 2025 on. */
export function period(number: number): BilledPeriod {
  const [from, to] = [new Date(Date.UTC(2025, 10 + number)), new Date(Date.UTC(2025, 11 + number))]
  return {
    id: `bpr_${number}`,
    number,
    startsAt: from,
    endsAt: to,
    usageFrom: from,
    usageTo: to,
    isTrial: false,
    plan: PLAN,
  }
}

export const measured = (quantity: bigint): Measured => ({
  quantity,
  rowCount: quantity,
  contentHash: `hash of ${quantity}`,
  meterVersion: 1,
})

export const usage = (quantity: bigint): Usage => ({ meter: 'events', price: PRICE, measured: measured(quantity) })

export const late = (before: bigint, after: bigint, of = period(1)): LateUsage => ({
  period: of,
  invoice: { id: 'inv_1', number: 'INV-000007' },
  meter: 'events',
  price: PRICE,
  before: measured(before),
  after: measured(after),
})

export const charge = (given: Partial<Charge>): Charge => ({
  id: 'chg_1',
  kind: 'base',
  description: 'Pro',
  amount: 0n,
  from: new Date('2026-02-01'),
  to: new Date('2026-03-01'),
  plan: { key: 'pro', version: 1, isCustom: false },
  ...given,
})

/** The input of the invoice for January 2026, with what a test is about. */
export const anInput = (given: Partial<InvoiceInput>): InvoiceInput => ({
  reason: 'period',
  currency: 'USD',
  seller: { name: 'Seller', address: [], taxId: null },
  buyer: { organizationId: 'org_1', name: 'Buyer', address: [], taxId: null, email: null },
  subscriptionId: 'sub_1',
  period: period(2),
  cutOff: new Date('2026-02-02'),
  previousCutOff: new Date('2026-01-02'),
  usages: [],
  late: [],
  charges: [],
  coupons: [],
  taxBasisPoints: 0n,
  credit: 0n,
  collectedBy: null,
  issue: null,
  ...given,
})
