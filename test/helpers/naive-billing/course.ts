import type { Act, Ledger, PlanVersion } from './ledger.ts'
import { amountOf, proratedFrom } from './price.ts'

/** Gifts are in one currency here; the first one decides what an organization is billed in, as its first plan does. */
const CREDIT_CURRENCY = 'USD'
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export interface Period {
  startsAtMs: number
  endsAtMs: number
  usageFromMs: number
  usageToMs: number
  plan: PlanVersion
  isTrial: boolean
  ended: boolean
}

/** What is owed for a plan as such. `period` is the one that it was raised in. */
export interface Charge {
  kind: 'base' | 'proration_charge' | 'proration_credit'
  amount: bigint
  fromMs: number
  toMs: number
  atMs: number
  due: 'now' | 'period_end'
  period: Period
}

export interface Course {
  periods: Period[]
  charges: Charge[]
  /** The acts that the rules forbid, by their place among the acts. */
  refused: number[]
  /** What all bills are in; null when nothing has cost anything. */
  currency: string | null
}

interface State {
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
}

const baseOf = ({ terms }: PlanVersion) => BigInt(terms.basePrice ?? '0')

/** Whether a plan can come to cost anything. */
const costs = (plan: PlanVersion) =>
  baseOf(plan) > 0n || plan.terms.metered.some(({ price }) => amountOf(price, 10n ** 15n) > 0n)

const isSame = (one: PlanVersion, other: PlanVersion) =>
  one.key === other.key && one.version === other.version && one.isCustom === other.isCustom

/** The start of the nth period after an anchor: same time of day in the zone, n months or years on, no later than the month's last day. */
export function turnMs(timeZone: string, anchorMs: number, interval: 'month' | 'year', turn: number): number {
  const anchor = Temporal.Instant.fromEpochMilliseconds(anchorMs).toZonedDateTimeISO(timeZone)
  const next = anchor.add(interval === 'month' ? { months: turn } : { years: turn }, { overflow: 'constrain' })
  return next.epochMilliseconds
}

/** Goes through everything that was done in order, closing each period whose end comes first. */
export function courseOf({ timeZone, defaultPlan, done, ticksMs }: Ledger): Course {
  const periods: Period[] = []
  const charges: Charge[] = []
  const refused: number[] = []
  const trialed = new Set<string>()
  const state: State = {
    plan: defaultPlan,
    pending: null,
    cancels: false,
    paused: false,
    anchorMs: 0,
    turn: 0,
    period: null,
    currency: null,
  }

  const begin = (atMs: number, endsAtMs: number, isTrial: boolean): Period => {
    const last = periods.at(-1)
    const period = {
      startsAtMs: atMs,
      endsAtMs,
      usageFromMs: Math.max(floorHour(atMs), last?.usageToMs ?? 0),
      usageToMs: floorHour(endsAtMs),
      plan: state.plan,
      isTrial,
      ended: false,
    }
    periods.push(period)
    state.period = period
    return period
  }
  const end = (atMs: number) => {
    const { period } = state
    if (!period) throw new Error('no period runs')
    period.endsAtMs = atMs
    period.usageToMs = Math.max(floorHour(atMs), period.usageFromMs)
    period.ended = true
    state.period = null
    return period
  }
  const charge = (
    kind: Charge['kind'],
    due: Charge['due'],
    amount: bigint,
    atMs: number,
    toMs: number,
    period: Period,
  ) => {
    if (amount !== 0n) charges.push({ kind, due, amount, atMs, fromMs: atMs, toMs, period })
  }
  /** A period by the clock of its anchor, its base in advance. */
  const beginTurn = (atMs: number, due: Charge['due'], raisedIn: Period | null) => {
    const period = begin(atMs, turnMs(timeZone, state.anchorMs, state.plan.terms.interval, state.turn + 1), false)
    charge('base', due, baseOf(state.plan), atMs, period.endsAtMs, raisedIn ?? period)
  }
  const beginAnew = (atMs: number, due: Charge['due'], raisedIn: Period | null) => {
    state.anchorMs = atMs
    state.turn = 0
    beginTurn(atMs, due, raisedIn)
  }
  const adopt = (plan: PlanVersion) => {
    state.plan = plan
    if (costs(plan)) state.currency ??= plan.terms.currency
  }
  const fallToDefault = (atMs: number) => {
    Object.assign(state, { plan: defaultPlan, pending: null, cancels: false, paused: false })
    beginAnew(atMs, 'now', null)
  }

  /** What was chosen for the end of the period, or what there was before. */
  const takePending = () => {
    const next = state.pending ?? state.plan
    const keepsClock = next.terms.interval === state.plan.terms.interval
    state.pending = null
    adopt(next)
    return keepsClock
  }
  const roll = (untilMs: number) => {
    while (state.period && state.period.endsAtMs <= untilMs) {
      const ended = end(state.period.endsAtMs)
      const atMs = ended.endsAtMs
      if (state.cancels) fallToDefault(atMs)
      else if (state.paused) return
      else if (ended.isTrial) {
        takePending()
        beginAnew(atMs, 'now', null)
      } else if (takePending()) {
        state.turn += 1
        beginTurn(atMs, 'period_end', ended)
      } else beginAnew(atMs, 'period_end', ended)
    }
  }

  /** A plan that costs no less begins now, a cheaper one with the next period. A choice takes the place of a cancellation. */
  const change = (atMs: number, plan: PlanVersion): boolean => {
    const { period, plan: before } = state
    if (!period || state.paused) return false
    if (isSame(plan, before)) return false
    if (state.pending && isSame(plan, state.pending)) return false
    if (costs(plan) && state.currency !== null && state.currency !== plan.terms.currency) return false
    state.cancels = false
    if (baseOf(plan) < baseOf(before)) {
      state.pending = plan
      return true
    }
    state.pending = null
    const wantsTrial = plan.terms.trialDays > 0 && !trialed.has(plan.key)
    // Nothing was paid for what a trial would take the place of.
    if (wantsTrial && (period.isTrial || baseOf(before) === 0n)) {
      trialed.add(plan.key)
      end(atMs)
      adopt(plan)
      begin(atMs, atMs + plan.terms.trialDays * DAY_MS, true)
      return true
    }
    if (period.isTrial) {
      end(atMs)
      adopt(plan)
      beginAnew(atMs, 'now', null)
      return true
    }
    const endsAtMs = period.endsAtMs
    const left = (amount: bigint) => proratedFrom(amount, period.startsAtMs, endsAtMs, atMs)
    charge('proration_credit', 'now', -left(baseOf(before)), atMs, endsAtMs, period)
    if (plan.terms.interval === before.terms.interval) {
      charge('proration_charge', 'now', left(baseOf(plan)), atMs, endsAtMs, period)
      adopt(plan)
      period.plan = plan
    } else {
      end(atMs)
      adopt(plan)
      beginAnew(atMs, 'now', null)
    }
    return true
  }
  const resume = (atMs: number): boolean => {
    if (!state.paused) return false
    state.paused = false
    if (state.period) return true
    takePending()
    beginAnew(atMs, 'now', null)
    return true
  }
  const cancel = (atMs: number): boolean => {
    if (state.cancels || (isSame(state.plan, defaultPlan) && !state.pending)) return false
    state.cancels = true
    state.pending = null
    if (!state.period) fallToDefault(atMs)
    return true
  }
  const act = (atMs: number, act: Act): boolean => {
    switch (act.kind) {
      case 'open':
        beginAnew(atMs, 'now', null)
        return true
      case 'changePlan':
        return change(atMs, act.plan)
      case 'withdrawChange': {
        const had = state.pending !== null
        state.pending = null
        return had
      }
      case 'cancel':
        return cancel(atMs)
      case 'reactivate': {
        const had = state.cancels
        state.cancels = false
        return had
      }
      case 'pause':
        if (state.paused || state.period?.isTrial) return false
        state.paused = true
        return true
      case 'resume':
        return resume(atMs)
      case 'credit':
        state.currency ??= CREDIT_CURRENCY
        return state.currency === CREDIT_CURRENCY
      case 'closeNow':
        if (state.period) end(atMs)
        fallToDefault(atMs)
        return true
      default:
        return true
    }
  }

  for (const [place, { atMs, act: one }] of done.entries()) {
    roll(atMs)
    if (!act(atMs, one)) refused.push(place)
  }
  roll(ticksMs.at(-1) ?? 0)
  return { periods, charges, refused, currency: state.currency }
}

const floorHour = (ms: number) => Math.floor(ms / HOUR_MS) * HOUR_MS
