import type { PlanVersion } from './ledger.ts'
import { amountOf } from './price.ts'

const HOUR_MS = 3_600_000

export interface Period {
  startsAtMs: number
  endsAtMs: number
  usageFromMs: number
  usageToMs: number
  /** The one in force at its end. */
  plan: PlanVersion
  isTrial: boolean
  ended: boolean
}

/** What is owed for a plan as such. `period` is the one that it was raised in. */
export interface Charge {
  kind: 'base' | 'proration_charge' | 'proration_credit'
  amount: bigint
  atMs: number
  /** Until when it pays, from then on. */
  toMs: number
  due: 'now' | 'period_end'
  period: Period
}

/** Where an organization stands, and everything that it has been through. */
export interface Life {
  timeZone: string
  defaultPlan: PlanVersion
  plan: PlanVersion
  pending: PlanVersion | null
  cancels: boolean
  paused: boolean
  /** Where the clock of the periods starts, and how many intervals the running one is away from it. */
  anchorMs: number
  turn: number
  /** None while a pause outlasts its period. */
  period: Period | null
  /** Of the first plan that can cost something. */
  currency: string | null
  periods: Period[]
  charges: Charge[]
  trialed: Set<string>
}

export const baseOf = ({ terms }: PlanVersion) => BigInt(terms.basePrice ?? '0')

/** Whether a plan can come to cost anything. */
export const costs = (plan: PlanVersion) =>
  baseOf(plan) > 0n || plan.terms.metered.some(({ price }) => amountOf(price, 10n ** 15n) > 0n)

export function adopt(life: Life, plan: PlanVersion): void {
  life.plan = plan
  if (costs(plan)) life.currency ??= plan.terms.currency
}

export function begin(life: Life, atMs: number, endsAtMs: number, isTrial: boolean): Period {
  const usageFromMs = Math.max(floorHour(atMs), life.periods.at(-1)?.usageToMs ?? 0)
  const times = { startsAtMs: atMs, endsAtMs, usageFromMs, usageToMs: floorHour(endsAtMs) }
  const period = { ...times, plan: life.plan, isTrial, ended: false }
  life.periods.push(period)
  life.period = period
  return period
}

export function end(life: Life, atMs: number): Period {
  const { period } = life
  if (!period) throw new Error('no period runs')
  period.endsAtMs = atMs
  period.usageToMs = Math.max(floorHour(atMs), period.usageFromMs)
  period.ended = true
  life.period = null
  return period
}

/** A period by the clock of its anchor, its base in advance; `raisedIn` is the period that ended with it. */
export function beginTurn(life: Life, atMs: number, due: Charge['due'], raisedIn?: Period): void {
  const period = begin(life, atMs, nextTurnMs(life), false)
  const owed = { kind: 'base' as const, due, atMs, toMs: period.endsAtMs }
  charge(life, { ...owed, amount: baseOf(life.plan), period: raisedIn ?? period })
}

/** The same by a clock that starts now. */
export function beginAnew(life: Life, atMs: number, due: Charge['due'], raisedIn?: Period): void {
  life.anchorMs = atMs
  life.turn = 0
  beginTurn(life, atMs, due, raisedIn)
}

/** Same time of day in the zone, n months or years after the anchor, no later than the month's last day. */
function nextTurnMs({ timeZone, anchorMs, turn, plan }: Life): number {
  const anchor = Temporal.Instant.fromEpochMilliseconds(anchorMs).toZonedDateTimeISO(timeZone)
  const away = plan.terms.interval === 'month' ? { months: turn + 1 } : { years: turn + 1 }
  return anchor.add(away, { overflow: 'constrain' }).epochMilliseconds
}

/** Nothing is nothing to owe. */
export function charge(life: Life, owed: Charge): void {
  if (owed.amount !== 0n) life.charges.push(owed)
}

const floorHour = (ms: number) => Math.floor(ms / HOUR_MS) * HOUR_MS
