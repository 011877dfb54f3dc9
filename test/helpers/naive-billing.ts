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
  const uses: Uses = new Map()
  const invoices = drafts.map(({ slot, ...draft }) => {
    const discount = takeOff(ledger, { ...draft, slot }, uses)
    const totals = totalsOf(draft.lines, discount, taxAt(ledger, draft.issuedAtMs))
    const credit = creditAt(ledger, course, draft.issuedAtMs) - spent
    // Bills below nothing give credit.
    const creditApplied = credit < totals.total ? credit : totals.total
    spent += creditApplied
    return { ...draft, ...totals, creditApplied, amountDue: totals.total - creditApplied }
  })
  return { course, invoices }
}

/** The slot is the period that the bill belongs to, as far as coupons go. */
type Draft = Pick<NaiveInvoice, 'reason' | 'currency' | 'atMs' | 'issuedAtMs' | 'lines'> & { slot: Period }
/** The periods in which each coupon took something off, by its place among the acts. */
type Uses = Map<number, Set<Period>>

const tickAfter = ({ ticksMs }: Ledger, ms: number) => ticksMs.find((tickMs) => tickMs >= ms)

/** Charges that are due at once: all that are there when bills are made, on one. */
function ofCharges(ledger: Ledger, { charges, currency, periods }: Course): Draft[] {
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
    slot: slotOfCharges(together, periods),
  }))
}

/** The newest period that begins by these charges, or else the newest in which one was raised. */
function slotOfCharges(together: readonly Charge[], periods: readonly Period[]): Period {
  const begun = together.some(({ kind }) => kind === 'base') ? together.filter(({ kind }) => kind === 'base') : together
  const slot = periods.findLast((period) => begun.some((charge) => charge.period === period))
  if (!slot) throw new Error('a charge was raised in no period')
  return slot
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
    const next = periods[place + 1]
    const slot = next && next.startsAtMs === period.endsAtMs ? next : period
    return [{ reason: 'period', atMs: period.endsAtMs, issuedAtMs, lines, currency: currency ?? '', slot }]
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
 * What coupons take off a bill, which is noted as their use of its slot. Each comes off what the earlier redeemed have left. One that has
 * had all the slots it lasts for still comes off in those, if it is a share; a fixed amount has one bill in a slot, and never a change.
 */
function takeOff({ done }: Ledger, { atMs: billedMs, reason, currency, lines, slot }: Draft, uses: Uses): bigint {
  let left = lines.reduce((sum, line) => sum + line.amount, 0n)
  let discount = 0n
  for (const [place, { atMs, act }] of done.entries()) {
    if (act.kind !== 'redeem' || atMs > billedMs || left <= 0n) continue
    const { coupon } = act
    const used = uses.get(place) ?? new Set()
    const isAgain = used.has(slot)
    if (coupon.kind === 'amount' && (isAgain || reason === 'change' || act.currency !== currency)) continue
    if (!isAgain && used.size >= lastsFor(coupon)) continue
    const share = coupon.kind === 'percent' ? rounded(fraction(left * coupon.basisPoints, 10_000n)) : coupon.amount
    const off = share < left ? share : left
    if (off > 0n) uses.set(place, used.add(slot))
    left -= off
    discount += off
  }
  return discount
}

const taxAt = ({ done }: Ledger, ms: number) =>
  done.reduce((rate, { atMs, act }) => (act.kind === 'tax' && atMs <= ms ? act.basisPoints : rate), 0n)

const creditAt = ({ done }: Ledger, { refused }: Course, ms: number) =>
  done.reduce((sum, { atMs, act }, place) => {
    return act.kind === 'credit' && atMs <= ms && !refused.includes(place) ? sum + act.amount : sum
  }, 0n)

function totalsOf(lines: readonly NaiveLine[], discount: bigint, taxBasisPoints: bigint) {
  const amount = lines.reduce((sum, line) => sum + line.amount, 0n)
  const net = amount - discount
  const tax = rounded(fraction(net * taxBasisPoints, 10_000n))
  return { amount, discount, net, tax, total: net + tax }
}

function lastsFor({ duration }: Coupon): number {
  if (duration.kind === 'forever') return Number.POSITIVE_INFINITY
  return duration.kind === 'once' ? 1 : Number(duration.periods)
}
