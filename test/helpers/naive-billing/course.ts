import type { Act, Ledger, PlanVersion } from './ledger.ts'
import {
  adopt,
  baseOf,
  begin,
  beginAnew,
  beginTurn,
  type Charge,
  charge,
  costs,
  end,
  type Life,
  type Period,
} from './life.ts'
import { proratedFrom } from './price.ts'

export type { Charge, Period } from './life.ts'

const DAY_MS = 86_400_000
/** Gifts are in one currency here; the first one decides what an organization is billed in, as its first plan does. */
const CREDIT_CURRENCY = 'USD'

export interface Course {
  periods: Period[]
  charges: Charge[]
  /** The acts that the rules forbid, by their place among the acts. */
  refused: number[]
  /** What all bills are in; null when nothing has cost anything. */
  currency: string | null
}

/** Goes through everything that was done in order, closing each period whose end comes first. */
export function courseOf({ timeZone, defaultPlan, done, ticksMs }: Ledger): Course {
  const state = { pending: null, cancels: false, paused: false, anchorMs: 0, turn: 0, period: null, currency: null }
  const kept = { periods: [], charges: [], trialed: new Set<string>() }
  const life: Life = { timeZone, defaultPlan, plan: defaultPlan, ...state, ...kept }
  const refused: number[] = []
  for (const [place, { atMs, act }] of done.entries()) {
    roll(life, atMs)
    if (!perform(life, atMs, act)) refused.push(place)
  }
  roll(life, ticksMs.at(-1) ?? 0)
  const { periods, charges, currency } = life
  return { periods, charges, refused, currency }
}

function roll(life: Life, untilMs: number): void {
  while (life.period && life.period.endsAtMs <= untilMs) {
    const ended = end(life, life.period.endsAtMs)
    const atMs = ended.endsAtMs
    if (life.cancels) fallToDefault(life, atMs)
    else if (life.paused) return
    else if (ended.isTrial) {
      takePending(life)
      beginAnew(life, atMs, 'now')
    } else if (takePending(life)) {
      life.turn += 1
      beginTurn(life, atMs, 'period_end', ended)
    } else beginAnew(life, atMs, 'period_end', ended)
  }
}

/** Puts the organization on what was chosen for the end of the period, if anything was. Gives whether the clock can go on. */
function takePending(life: Life): boolean {
  const next = life.pending ?? life.plan
  const keepsClock = next.terms.interval === life.plan.terms.interval
  life.pending = null
  adopt(life, next)
  return keepsClock
}

function fallToDefault(life: Life, atMs: number): void {
  Object.assign(life, { plan: life.defaultPlan, pending: null, cancels: false, paused: false })
  beginAnew(life, atMs, 'now')
}

/** Gives whether the rules allow it. */
function perform(life: Life, atMs: number, act: Act): boolean {
  switch (act.kind) {
    case 'open':
      beginAnew(life, atMs, 'now')
      return true
    case 'changePlan':
      return change(life, atMs, act.plan)
    case 'withdrawChange':
      return withdraw(life)
    case 'cancel':
      return cancel(life, atMs)
    case 'reactivate':
      return reactivate(life)
    case 'pause':
      return pause(life)
    case 'resume':
      return resume(life, atMs)
    case 'closeNow':
      if (life.period) end(life, atMs)
      fallToDefault(life, atMs)
      return true
    case 'credit':
      life.currency ??= CREDIT_CURRENCY
      return life.currency === CREDIT_CURRENCY
    default:
      return true
  }
}

const isSame = (one: PlanVersion, other: PlanVersion) =>
  one.key === other.key && one.version === other.version && one.isCustom === other.isCustom

/** A plan that costs no less begins now, a cheaper one with the next period. A choice takes the place of a cancellation. */
function change(life: Life, atMs: number, plan: PlanVersion): boolean {
  const { period, plan: before, currency } = life
  if (!period || life.paused || isSame(plan, before) || (life.pending && isSame(plan, life.pending))) return false
  if (costs(plan) && currency !== null && currency !== plan.terms.currency) return false
  life.cancels = false
  const isLater = baseOf(plan) < baseOf(before)
  life.pending = isLater ? plan : null
  if (isLater) return true
  const mayTry = plan.terms.trialDays > 0 && !life.trialed.has(plan.key)
  // Nothing was paid for what a trial would take the place of.
  if (mayTry && (period.isTrial || baseOf(before) === 0n)) beginTrial(life, atMs, plan)
  else if (period.isTrial) startOver(life, atMs, plan)
  else upgrade(life, atMs, plan, period)
  return true
}

function beginTrial(life: Life, atMs: number, plan: PlanVersion): void {
  life.trialed.add(plan.key)
  end(life, atMs)
  adopt(life, plan)
  begin(life, atMs, atMs + plan.terms.trialDays * DAY_MS, true)
}

function startOver(life: Life, atMs: number, plan: PlanVersion): void {
  end(life, atMs)
  adopt(life, plan)
  beginAnew(life, atMs, 'now')
}

/** The rest of the period on the plan before is given back; on the new one it is charged, or a new period begins. */
function upgrade(life: Life, atMs: number, plan: PlanVersion, period: Period): void {
  const { endsAtMs: toMs, startsAtMs } = period
  const rest = (one: PlanVersion) => proratedFrom(baseOf(one), startsAtMs, toMs, atMs)
  const owed = { due: 'now' as const, atMs, toMs, period }
  charge(life, { ...owed, kind: 'proration_credit', amount: -rest(life.plan) })
  if (plan.terms.interval !== life.plan.terms.interval) {
    startOver(life, atMs, plan)
    return
  }
  charge(life, { ...owed, kind: 'proration_charge', amount: rest(plan) })
  adopt(life, plan)
  period.plan = plan
}

function withdraw(life: Life): boolean {
  const had = life.pending !== null
  life.pending = null
  return had
}

function cancel(life: Life, atMs: number): boolean {
  if (life.cancels || (isSame(life.plan, life.defaultPlan) && !life.pending)) return false
  life.cancels = true
  life.pending = null
  if (!life.period) fallToDefault(life, atMs)
  return true
}

function reactivate(life: Life): boolean {
  const had = life.cancels
  life.cancels = false
  return had
}

function pause(life: Life): boolean {
  if (life.paused || life.period?.isTrial) return false
  life.paused = true
  return true
}

function resume(life: Life, atMs: number): boolean {
  if (!life.paused) return false
  life.paused = false
  if (life.period) return true
  takePending(life)
  beginAnew(life, atMs, 'now')
  return true
}
