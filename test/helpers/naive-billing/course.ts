import type { Act, Ledger, PlanVersion } from './ledger.ts'
import { proratedFrom } from './price.ts'

const HOUR_MS = 3_600_000

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
}

const baseOf = ({ terms }: PlanVersion) => BigInt(terms.basePrice ?? '0')

/** The start of the nth period after an anchor: same time of day in the zone, n months or years on, no later than the month's last day. */
export function turnMs(timeZone: string, anchorMs: number, interval: 'month' | 'year', turn: number): number {
  const anchor = Temporal.Instant.fromEpochMilliseconds(anchorMs).toZonedDateTimeISO(timeZone)
  const next = anchor.add(interval === 'month' ? { months: turn } : { years: turn }, { overflow: 'constrain' })
  return next.epochMilliseconds
}

/** Goes through everything that was done in order, closing each period whose end comes first. */
export function courseOf({ timeZone, defaultPlan, done, throughMs }: Ledger): Course {
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
  const fallToDefault = (atMs: number) => {
    Object.assign(state, { plan: defaultPlan, pending: null, cancels: false, paused: false })
    beginAnew(atMs, 'now', null)
  }

  const roll = (untilMs: number) => {
    while (state.period && state.period.endsAtMs <= untilMs) {
      const { plan } = state
      const ended = end(state.period.endsAtMs)
      const atMs = ended.endsAtMs
      if (state.cancels) fallToDefault(atMs)
      else if (state.pending) takePending(atMs, plan, ended)
      else if (state.paused) continue
      else if (ended.isTrial) beginAnew(atMs, 'period_end', ended)
      else {
        state.turn += 1
        beginTurn(atMs, 'period_end', ended)
      }
    }
  }
  const takePending = (atMs: number, before: PlanVersion, ended: Period) => {
    state.plan = state.pending ?? before
    state.pending = null
    if (state.paused) return
    if (ended.isTrial || state.plan.terms.interval !== before.terms.interval)
      return beginAnew(atMs, 'period_end', ended)
    state.turn += 1
    beginTurn(atMs, 'period_end', ended)
  }

  const change = (atMs: number, plan: PlanVersion): boolean => {
    const { period, plan: before } = state
    if (!period || state.paused || state.cancels || plan.key === before.key) return false
    const wantsTrial = plan.terms.trialDays > 0 && !trialed.has(plan.key)
    if (baseOf(plan) < baseOf(before)) {
      state.pending = plan
      return true
    }
    state.pending = null
    const left = (amount: bigint) => proratedFrom(amount, period.startsAtMs, period.endsAtMs, atMs)
    const unused = period.isTrial ? 0n : left(baseOf(before))
    const endsAtMs = period.endsAtMs
    if (wantsTrial) {
      trialed.add(plan.key)
      end(atMs)
      state.plan = plan
      const over = Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timeZone)
      const trial = begin(atMs, over.add({ days: plan.terms.trialDays }).epochMilliseconds, true)
      charge('proration_credit', 'now', -unused, atMs, endsAtMs, trial)
    } else if (period.isTrial || plan.terms.interval !== before.terms.interval) {
      end(atMs)
      state.plan = plan
      beginAnew(atMs, 'now', null)
      if (state.period) charge('proration_credit', 'now', -unused, atMs, endsAtMs, state.period)
    } else {
      state.plan = plan
      period.plan = plan
      charge('proration_credit', 'now', -unused, atMs, endsAtMs, period)
      charge('proration_charge', 'now', left(baseOf(plan)), atMs, endsAtMs, period)
    }
    return true
  }
  const resume = (atMs: number): boolean => {
    if (!state.paused) return false
    state.paused = false
    if (!state.period) beginAnew(atMs, 'now', null)
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
        if (state.cancels || state.paused || state.plan.key === defaultPlan.key) return false
        state.cancels = true
        return true
      case 'reactivate': {
        const had = state.cancels
        state.cancels = false
        return had
      }
      case 'pause':
        if (state.paused || state.cancels || state.period?.isTrial) return false
        state.paused = true
        return true
      case 'resume':
        return resume(atMs)
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
  roll(throughMs)
  return { periods, charges, refused }
}

const floorHour = (ms: number) => Math.floor(ms / HOUR_MS) * HOUR_MS
