import type { InvoiceDocument } from '../../../src/domains/billing/invoices/document.ts'
import type { Period } from '../naive-billing/course.ts'
import type { NaiveInvoice } from '../naive-billing.ts'

const TOTALS = ['amount', 'discount', 'net', 'tax', 'total', 'creditApplied', 'amountDue'] as const
const iso = (ms: number) => new Date(ms).toISOString()

/** What both computations say of an invoice, in the same words. */
export const wordsOfNaive = (invoice: NaiveInvoice): string[] => [
  `${invoice.reason} in ${invoice.currency} of ${iso(invoice.atMs)} issued ${iso(invoice.issuedAtMs)}`,
  ...TOTALS.map((name) => `${name} ${invoice[name]}`),
  ...invoice.lines
    .map(({ kind, meterKey, fromMs, toMs, quantity, amount }) =>
      [kind, meterKey, iso(fromMs), iso(toMs), quantity, amount].join(' '),
    )
    .sort(),
]

export const wordsOfDocument = (document: InvoiceDocument): string[] => [
  `${document.reason} in ${document.currency} of ${document.period?.endsAt ?? document.cutOff} issued ${document.issuedAt}`,
  ...TOTALS.map((name) => `${name} ${document[name]}`),
  ...document.lines
    .map(({ kind, meter, from, to, quantity, amount }) => [kind, meter?.key, from, to, quantity, amount].join(' '))
    .sort(),
]

interface StoredPeriod {
  startsAt: Date
  endsAt: Date
  usageFrom: Date
  usageTo: Date
  planKey: string
  planVersion: number
  isCustom: boolean
  isTrial: boolean
  status: string
}

export const wordsOfPeriod = (period: StoredPeriod): string =>
  [
    ...[period.startsAt, period.endsAt, period.usageFrom, period.usageTo].map((time) => time.toISOString()),
    ...[period.planKey, period.planVersion, period.isCustom, period.isTrial, period.status !== 'open'],
  ].join(' ')

export const wordsOfNaivePeriod = ({ plan, ...period }: Period): string =>
  [
    ...[period.startsAtMs, period.endsAtMs, period.usageFromMs, period.usageToMs].map(iso),
    ...[plan.key, plan.version, plan.isCustom, period.isTrial, period.ended],
  ].join(' ')

/** Whether discount and tax of the lines sum to those of the invoice, each less than a unit from its own exact share. */
export function lineFaults({ lines, taxBasisPoints, ...invoice }: InvoiceDocument): string[] {
  const charged = lines.map(({ amount }) => (BigInt(amount) > 0n ? BigInt(amount) : 0n))
  const sum = charged.reduce((one, another) => one + another, 0n)
  const sums = TOTALS.slice(0, 5).filter(
    (name) =>
      lines.reduce((total, line) => total + BigInt(line[name as 'amount']), 0n) !== BigInt(invoice[name as 'amount']),
  )
  const far = lines.filter(({ discount, net, tax }, index) => {
    const discountOff = BigInt(discount) * sum - BigInt(invoice.discount) * (charged[index] ?? 0n)
    const taxOff = BigInt(tax) * 10_000n - BigInt(net) * BigInt(taxBasisPoints)
    return (sum > 0n && sizeOf(discountOff) >= sum) || sizeOf(taxOff) >= 10_000n
  })
  return [...sums.map((name) => `${name} of the lines`), ...far.map(({ position }) => `shares of line ${position}`)]
}

const sizeOf = (value: bigint) => (value < 0n ? -value : value)
