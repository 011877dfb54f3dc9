import type { Coupon } from '../../src/domains/billing/pricing/coupon.ts'
import { type Charge, type Course, courseOf, type Period } from './naive-billing/course.ts'
import { fraction, rounded } from './naive-billing/fraction.ts'
import type { Counting, Ledger, Receipt } from './naive-billing/ledger.ts'
import { amountOf } from './naive-billing/price.ts'
import { firstCopies, quantityOf } from './naive-billing/usage.ts'

export interface NaiveLine {
  kind: 'base' | 'proration_charge' | 'proration_credit' | 'usage' | 'adjustment'
  meterKey: string | null
  fromMs: number
  toMs: number
  quantity: bigint | null
  amount: bigint
}

export interface NaiveInvoice {
  /** When it came to be due: the end of the grace of a period, or the act that raised the charges. */
  dueMs: number
  reason: 'period' | 'now'
  lines: NaiveLine[]
  amount: bigint
  discount: bigint
  net: bigint
  tax: bigint
  total: bigint
  creditApplied: bigint
  amountDue: bigint
}

/**
 * Every invoice of an organization, from nothing but what was done and what was received. It shares no code with the program: periods by
 * Temporal, amounts in fractions, copies told apart in memory.
 */
export function naiveInvoices(ledger: Ledger): { course: Course; invoices: NaiveInvoice[] } {
  const course = courseOf(ledger)
  const copies = firstCopies(ledger.receipts)
  const drafts = [...ofPeriods(ledger, course, copies), ...ofCharges(course)]
    .filter(({ dueMs, lines }) => dueMs <= ledger.throughMs && lines.some(({ amount }) => amount !== 0n))
    .sort((one, other) => one.dueMs - other.dueMs)
  let spent = 0n
  const invoices = drafts.map(({ period, ...draft }) => {
    const totals = totalsOf(draft.lines, couponsAt(ledger, course, period, draft.dueMs), taxAt(ledger, draft.dueMs))
    const credit = creditAt(ledger, draft.dueMs) - spent
    const owed = totals.total > 0n ? totals.total : 0n
    const creditApplied = credit < owed ? credit : owed
    spent += creditApplied
    return { ...draft, ...totals, creditApplied, amountDue: totals.total - creditApplied }
  })
  return { course, invoices }
}

type Draft = Pick<NaiveInvoice, 'dueMs' | 'reason' | 'lines'> & { period: Period }

/** Charges that are due at once, those of one act on one invoice. */
function ofCharges({ charges }: Course): Draft[] {
  const times = new Set(charges.filter(({ due }) => due === 'now').map(({ atMs }) => atMs))
  return [...times].map((dueMs) => {
    const together = charges.filter(({ due, atMs }) => due === 'now' && atMs === dueMs)
    const [first] = together
    if (!first) throw new Error('a time without a charge')
    return { dueMs, reason: 'now', lines: together.map(lineOfCharge), period: first.period }
  })
}

/** The use of each ended period, the base that its end raised, and what came late for the periods before. */
function ofPeriods(ledger: Ledger, { periods, charges }: Course, copies: readonly Receipt[]): Draft[] {
  return periods
    .filter(({ ended }) => ended)
    .map((period, place) => {
      const dueMs = period.endsAtMs + ledger.graceMs
      const before = periods[place - 1]
      const raised = charges.filter((charge) => charge.due === 'period_end' && charge.period === period)
      const lines = [
        ...raised.map(lineOfCharge),
        ...usageLines(ledger, period, copies, dueMs),
        ...(before
          ? periods
              .slice(0, place)
              .flatMap((earlier) => adjustments(ledger, earlier, copies, before.endsAtMs + ledger.graceMs, dueMs))
          : []),
      ]
      return { dueMs, reason: 'period', lines, period }
    })
}

const lineOfCharge = ({ kind, amount, fromMs, toMs }: Charge): NaiveLine => ({
  kind,
  meterKey: null,
  fromMs,
  toMs,
  quantity: null,
  amount,
})

function usageLines({ meters }: Ledger, period: Period, copies: readonly Receipt[], comeByMs: number): NaiveLine[] {
  if (period.isTrial) return []
  const { usageFromMs: fromMs, usageToMs: toMs } = period
  return period.plan.terms.metered.map(({ meter, price }) => {
    const quantity = quantityOf(copies, countingOf(meters, meter), { fromMs, toMs, comeByMs })
    return { kind: 'usage', meterKey: meter, fromMs, toMs, quantity, amount: amountOf(price, quantity) }
  })
}

function adjustments(
  { meters }: Ledger,
  { usageFromMs: fromMs, usageToMs: toMs, plan, isTrial }: Period,
  copies: readonly Receipt[],
  afterMs: number,
  byMs: number,
): NaiveLine[] {
  if (isTrial) return []
  return plan.terms.metered.flatMap(({ meter, price }) => {
    const counted = (comeByMs: number) => quantityOf(copies, countingOf(meters, meter), { fromMs, toMs, comeByMs })
    const before = counted(afterMs)
    const now = counted(byMs)
    if (before === now) return []
    const amount = amountOf(price, now) - amountOf(price, before)
    return [{ kind: 'adjustment' as const, meterKey: meter, fromMs, toMs, quantity: now - before, amount }]
  })
}

function countingOf(meters: Ledger['meters'], key: string): Counting {
  const counting = key === 'events' ? ({ of: 'all' } as const) : meters[key]
  if (!counting) throw new Error(`nothing says how ${key} counts`)
  return counting
}

/** The coupons of an organization by then, with the number of periods since each was redeemed. */
function couponsAt({ done }: Ledger, { periods }: Course, period: Period, dueMs: number) {
  return done.flatMap(({ atMs, act }) => {
    if (act.kind !== 'redeem' || atMs > dueMs) return []
    const redeemedIn = periods.findLastIndex(({ startsAtMs }) => startsAtMs <= atMs)
    return [{ coupon: act.coupon, place: periods.indexOf(period) - redeemedIn }]
  })
}

const taxAt = ({ done }: Ledger, dueMs: number) =>
  done.reduce((rate, { atMs, act }) => (act.kind === 'tax' && atMs <= dueMs ? act.basisPoints : rate), 0n)

const creditAt = ({ done }: Ledger, dueMs: number) =>
  done.reduce((sum, { atMs, act }) => (act.kind === 'credit' && atMs <= dueMs ? sum + act.amount : sum), 0n)

function totalsOf(lines: readonly NaiveLine[], coupons: { coupon: Coupon; place: number }[], taxBasisPoints: bigint) {
  const amount = lines.reduce((sum, line) => sum + line.amount, 0n)
  let discount = 0n
  for (const { coupon, place } of coupons) {
    const left = amount - discount
    if (left <= 0n || place < 0 || place >= periodsOf(coupon)) continue
    const off = coupon.kind === 'percent' ? rounded(fraction(left * coupon.basisPoints, 10_000n)) : coupon.amount
    discount = off < left ? discount + off : amount
  }
  const net = amount - discount
  const tax = rounded(fraction(net * taxBasisPoints, 10_000n))
  return { amount, discount, net, tax, total: net + tax }
}

function periodsOf({ duration }: Coupon): number {
  if (duration.kind === 'forever') return Number.POSITIVE_INFINITY
  return duration.kind === 'once' ? 1 : Number(duration.periods)
}
