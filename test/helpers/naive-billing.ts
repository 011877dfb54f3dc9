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
  reason: 'period' | 'start' | 'change'
  currency: string
  /** The end of the period that it bills, or the time of the last charge. */
  atMs: number
  issuedAtMs: number
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
  const drafts = [...ofCharges(ledger, course), ...ofPeriods(ledger, course, copies)]
    .filter(({ lines }) => lines.some(({ amount }) => amount !== 0n))
    .sort((one, other) => one.issuedAtMs - other.issuedAtMs)
  let spent = 0n
  const invoices = drafts.map((draft) => {
    const coupons = couponsAt(ledger, course, draft)
    const totals = totalsOf(draft.lines, coupons, taxAt(ledger, draft.issuedAtMs))
    const credit = creditAt(ledger, course, draft.issuedAtMs) - spent
    // Bills below nothing give credit.
    const creditApplied = credit < totals.total ? credit : totals.total
    spent += creditApplied
    return { ...draft, ...totals, creditApplied, amountDue: totals.total - creditApplied }
  })
  return { course, invoices }
}

type Draft = Pick<NaiveInvoice, 'reason' | 'currency' | 'atMs' | 'issuedAtMs' | 'lines'>

const tickAfter = ({ ticksMs }: Ledger, ms: number) => ticksMs.find((tickMs) => tickMs >= ms)

/** Charges that are due at once: all that are there when bills are made, on one. */
function ofCharges(ledger: Ledger, { charges, currency }: Course): Draft[] {
  const byTick = new Map<number, Charge[]>()
  for (const charge of charges) {
    const tickMs = tickAfter(ledger, charge.atMs)
    if (charge.due === 'now' && tickMs !== undefined) byTick.set(tickMs, [...(byTick.get(tickMs) ?? []), charge])
  }
  return [...byTick].map(([issuedAtMs, together]) => ({
    reason: together.some(({ kind }) => kind === 'base') ? 'start' : 'change',
    atMs: Math.max(...together.map(({ atMs }) => atMs)),
    issuedAtMs,
    lines: together.map(lineOfCharge),
    currency: currency ?? '',
  }))
}

/** The use of each ended period, the base that its end raised, and what came late for the periods before. */
function ofPeriods(ledger: Ledger, { periods, charges, currency }: Course, copies: readonly Receipt[]): Draft[] {
  return periods.flatMap((period, place): Draft[] => {
    const comeByMs = period.endsAtMs + ledger.graceMs
    const issuedAtMs = tickAfter(ledger, comeByMs + ledger.onTheWayMs)
    if (!period.ended || issuedAtMs === undefined) return []
    const [before] = periods.slice(0, place).slice(-1)
    const afterMs = before ? before.endsAtMs + ledger.graceMs : comeByMs
    const raised = charges.filter((charge) => charge.due === 'period_end' && charge.period === period)
    const late = periods.slice(0, place).flatMap((earlier) => adjustments(ledger, earlier, copies, afterMs, comeByMs))
    const lines = [...raised.map(lineOfCharge), ...usageLines(ledger, period, copies, comeByMs), ...late]
    return [{ reason: 'period', atMs: period.endsAtMs, issuedAtMs, lines, currency: currency ?? '' }]
  })
}

const lineOfCharge = ({ kind, amount, atMs, toMs }: Charge): NaiveLine => ({
  ...{ kind, meterKey: null, quantity: null },
  fromMs: atMs,
  toMs,
  amount,
})

function usageLines({ meters }: Ledger, period: Period, copies: readonly Receipt[], comeByMs: number): NaiveLine[] {
  const { usageFromMs: fromMs, usageToMs: toMs, isTrial } = period
  return period.plan.terms.metered.map(({ meter, price }) => {
    const quantity = quantityOf(copies, countingOf(meters, meter), { fromMs, toMs, comeByMs })
    return { kind: 'usage', meterKey: meter, fromMs, toMs, quantity, amount: isTrial ? 0n : amountOf(price, quantity) }
  })
}

function adjustments(
  { meters }: Ledger,
  { usageFromMs: fromMs, usageToMs: toMs, plan, isTrial }: Period,
  copies: readonly Receipt[],
  afterMs: number,
  byMs: number,
): NaiveLine[] {
  return plan.terms.metered.flatMap(({ meter, price }) => {
    const counted = (comeByMs: number) => quantityOf(copies, countingOf(meters, meter), { fromMs, toMs, comeByMs })
    const before = counted(afterMs)
    const now = counted(byMs)
    if (before === now) return []
    const amount = isTrial ? 0n : amountOf(price, now) - amountOf(price, before)
    return [{ kind: 'adjustment' as const, meterKey: meter, fromMs, toMs, quantity: now - before, amount }]
  })
}

function countingOf(meters: Ledger['meters'], key: string): Counting {
  const counting = key === 'events' ? ({ of: 'all' } as const) : meters[key]
  if (!counting) throw new Error(`nothing says how ${key} counts`)
  return counting
}

/**
 * The coupons of an organization by the time that is billed, each with the number of periods that have begun since it was redeemed. One
 * over an amount is for bills of its currency, and for the start and the end of a period but not for changes within.
 */
function couponsAt({ done }: Ledger, { periods }: Course, { atMs: billedMs, reason, currency }: Draft) {
  return done.flatMap(({ atMs, act }) => {
    if (act.kind !== 'redeem' || atMs > billedMs) return []
    if (act.coupon.kind === 'amount' && (reason === 'change' || act.currency !== currency)) return []
    const place = periods.filter(({ startsAtMs }) => startsAtMs >= atMs && startsAtMs < billedMs).length
    return [{ coupon: act.coupon, place }]
  })
}

const taxAt = ({ done }: Ledger, ms: number) =>
  done.reduce((rate, { atMs, act }) => (act.kind === 'tax' && atMs <= ms ? act.basisPoints : rate), 0n)

const creditAt = ({ done }: Ledger, { refused }: Course, ms: number) =>
  done.reduce((sum, { atMs, act }, place) => {
    return act.kind === 'credit' && atMs <= ms && !refused.includes(place) ? sum + act.amount : sum
  }, 0n)

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
