import { derivedId, newId } from '../../../ids.ts'
import { prorate, secondsBetween } from '../pricing/prorate.ts'
import { boundaryAfter, usageHours } from './period-clock.ts'
import { type Agreed, baseOf, pays, referenceOf } from './plan-reference.ts'
import type { Charge, Period, Phase, Subscription } from './records.ts'

/** Where an organization stands. */
export interface Standing {
  organizationId: string
  timeZone: string
  currency: string | null
  /** Undefined for an organization that is older than subscriptions. */
  live: { subscription: Subscription; agreed: Agreed; pending: Agreed | null; phaseCount: number } | undefined
  /** The open period, or the last one where none is open. */
  latest: Period | undefined
  /** Keys of plans that were tried. */
  tried: readonly string[]
  /** What everybody is on who has chosen nothing. */
  fallback: Agreed
}

/** What a change comes to: where the organization then stands, and everything that is to be written for it. Nothing has happened yet. */
export interface Course {
  organizationId: string
  timeZone: string
  currency: string | null
  subscription: Subscription
  agreed: Agreed
  pending: Agreed | null
  /** The open one; null while paused past its end. */
  period: Period | null
  latest: Period | undefined
  phaseCount: number
  tried: string[]
  fallback: Agreed
  canceled: Subscription[]
  ended: Period[]
  phases: Phase[]
  charges: Charge[]
}

/** Begins where the organization stands. One without a subscription gets one to the default plan. */
export function courseOf({ live, latest, tried, ...standing }: Standing, now: Date): Course {
  const nothing = { canceled: [], ended: [], phases: [], charges: [] }
  const shared = { ...standing, ...nothing, latest, tried: [...tried] }
  if (live) {
    const period = latest?.status === 'open' ? { ...latest } : null
    return { ...shared, ...live, subscription: { ...live.subscription }, period }
  }
  const agreed = standing.fallback
  const subscription = newSubscription(standing, now, standing.organizationId)
  const course: Course = { ...shared, subscription, agreed, pending: null, period: null, phaseCount: 0 }
  enter(course, agreed, now)
  return course
}

/** The same course, at its beginning: what happens to it from here on leaves the other alone. */
export const copyOf = (course: Course): Course => ({
  ...course,
  subscription: { ...course.subscription },
  period: course.period && { ...course.period },
  tried: [...course.tried],
  canceled: [],
  ended: [],
  phases: [],
  charges: [],
})

type Beginning = Pick<Course, 'organizationId' | 'timeZone' | 'fallback'>

function newSubscription({ organizationId, timeZone, fallback }: Beginning, at: Date, after: string): Subscription {
  return {
    organizationId,
    id: derivedId('sub', at.getTime(), after),
    status: 'active',
    ...referenceOf(fallback),
    provider: 'manual',
    stripeSubscriptionId: null,
    timeZone,
    anchor: at,
    pending: null,
    cancelAtPeriodEnd: false,
    trialEndsAt: null,
    pausedAt: null,
    canceledAt: null,
    startedAt: at,
    revision: 0,
  }
}

/** Ends the subscription, and begins one to the default plan. */
export function succeed(course: Course, at: Date): void {
  course.canceled.push({
    ...course.subscription,
    status: 'canceled',
    canceledAt: at,
    cancelAtPeriodEnd: false,
    pending: null,
  })
  course.subscription = newSubscription(course, at, course.subscription.id)
  course.phaseCount = 0
  enter(course, course.fallback, at)
}

const DAY_MS = 86_400_000

export const mayTry = ({ tried }: Course, { plan }: Agreed): boolean => plan.trialDays > 0 && !tried.includes(plan.key)

/** Begins a plan anew: with its trial, if it has one that was not had before, or with a first paid period. */
export function enter(course: Course, agreed: Agreed, at: Date): void {
  if (mayTry(course, agreed)) enterTrial(course, agreed, at)
  else enterPaid(course, agreed, at)
}

function enterTrial(course: Course, agreed: Agreed, at: Date): void {
  const endsAt = new Date(at.getTime() + agreed.plan.trialDays * DAY_MS)
  course.tried.push(agreed.plan.key)
  Object.assign(course.subscription, { status: 'trialing', trialEndsAt: endsAt, anchor: at })
  adopt(course, agreed, at, 'trial')
  open(course, at, endsAt)
}

export function enterPaid(course: Course, agreed: Agreed, at: Date): void {
  Object.assign(course.subscription, { status: 'active', anchor: at })
  adopt(course, agreed, at, 'paid')
  openPaid(course, at, 'now')
}

/** Puts the subscription on a plan from a time on; what was to come is thereby settled. */
export function adopt(course: Course, agreed: Agreed, at: Date, kind: Phase['kind']): void {
  const { organizationId, subscription } = course
  Object.assign(course, { agreed, pending: null, currency: course.currency ?? currencyOf(agreed) })
  Object.assign(subscription, referenceOf(agreed), { pending: null })
  const number = course.phaseCount++
  const phase = { organizationId, subscriptionId: subscription.id, number, startsAt: at, kind }
  course.phases.push({ ...phase, ...referenceOf(agreed) })
}

const currencyOf = (agreed: Agreed): string | null => (pays(agreed) ? agreed.plan.currency : null)

/** Opens the next paid period, whose base price is due now or with the usage of the period before. */
export function openPaid(course: Course, at: Date, due: Charge['due'], endsAt = boundaryOf(course, at)): void {
  const { agreed, latest } = course
  const period = open(course, at, endsAt)
  const periodId = due === 'now' ? period.id : (latest?.id ?? period.id)
  charge(course, { kind: 'base', amount: baseOf(agreed), agreed, fromAt: at, toAt: period.endsAt, due, periodId, at })
}

function boundaryOf({ subscription, agreed }: Course, at: Date): Date {
  const { anchor, timeZone } = subscription
  return boundaryAfter({ anchor, timeZone, interval: agreed.plan.interval }, at)
}

export function open(course: Course, startsAt: Date, endsAt: Date): Period {
  const { organizationId, subscription, agreed, latest } = course
  const number = latest?.subscriptionId === subscription.id ? latest.number + 1 : 0
  const period: Period = {
    organizationId,
    id: derivedId('bpr', startsAt.getTime(), `${subscription.id} ${number}`),
    subscriptionId: subscription.id,
    number,
    startsAt,
    endsAt,
    ...usageHours(startsAt, endsAt, latest?.usageTo ?? null),
    ...referenceOf(agreed),
    isTrial: subscription.status === 'trialing',
    status: 'open',
  }
  Object.assign(course, { period, latest: period })
  return period
}

/** Ends the open period, which is then billed by the plan that is in force. */
export function end(course: Course, at: Date): void {
  const { period, agreed } = course
  if (!period) return
  const { usageTo } = usageHours(period.startsAt, at, period.usageFrom)
  const ended: Period = { ...period, ...referenceOf(agreed), endsAt: at, usageTo, status: 'ended' }
  course.ended.push(ended)
  Object.assign(course, { period: null, latest: ended })
}

interface Owed {
  kind: Charge['kind']
  amount: bigint
  agreed: Agreed
  fromAt: Date
  toAt: Date
  due: Charge['due']
  periodId: string
  at: Date
}

/** Notes what is owed; nothing is nothing to note. */
function charge(course: Course, { agreed, at, ...owed }: Owed): void {
  if (owed.amount === 0n) return
  const { organizationId, subscription } = course
  const { name, currency } = agreed.plan
  const description = DESCRIPTIONS[owed.kind](name)
  const of = { organizationId, id: newId('chg', at.getTime()), subscriptionId: subscription.id }
  course.charges.push({ ...of, ...owed, ...referenceOf(agreed), description, currency, createdAt: at })
}

const DESCRIPTIONS: Record<Charge['kind'], (plan: string) => string> = {
  base: (plan) => plan,
  proration_charge: (plan) => `${plan}, remaining time`,
  proration_credit: (plan) => `${plan}, unused time`,
  one_time: (plan) => plan,
  credit: (plan) => plan,
}

/** Notes what the rest of the open period is worth on a plan: owed from now on, or given back. */
export function chargeRest(
  course: Course,
  kind: 'proration_charge' | 'proration_credit',
  agreed: Agreed,
  at: Date,
  due: Charge['due'] = 'now',
): void {
  const { period } = course
  if (!period) return
  const share = { from: secondsBetween(period.startsAt, at), to: secondsBetween(period.startsAt, period.endsAt) }
  const rest = prorate(baseOf(agreed), { ...share, period: share.to })
  const amount = kind === 'proration_credit' ? -rest : rest
  charge(course, { kind, amount, agreed, fromAt: at, toAt: period.endsAt, due, periodId: period.id, at })
}
