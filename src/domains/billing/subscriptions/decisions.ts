import {
  alreadyOnPlan,
  cancelState,
  currencyDiffers,
  managedByProvider,
  nothingPending,
  pauseState,
  subscriptionPaused,
} from '../errors.ts'
import { adopt, type Course, chargeRest, end, enter, enterPaid, mayTry, succeed } from './course.ts'
import { type Agreed, baseOf, isSamePlan, pays, referenceOf } from './plan-reference.ts'

/**
 * Puts an organization on another plan. One that costs no less begins now, for what the rest of the period is worth; a cheaper one at
 * the end of the period, which is paid. A choice takes the place of an earlier one, and of a cancellation.
 */
export function changeTo(course: Course, target: Agreed, now: Date): void {
  refuseProvider(course)
  refuseUnchanged(course, target)
  const { subscription, agreed, currency } = course
  if (subscription.status === 'paused') throw subscriptionPaused('The subscription is paused. Resume it first.')
  if (pays(target) && currency !== null && currency !== target.plan.currency)
    throw currencyDiffers(`The organization is billed in ${currency}; the plan is in ${target.plan.currency}.`)
  subscription.cancelAtPeriodEnd = false
  const isTrial = subscription.status === 'trialing' || (baseOf(agreed) === 0n && mayTry(course, target))
  if (baseOf(target) < baseOf(agreed)) postpone(course, target)
  else if (isTrial) enterAnew(course, target, now)
  else upgrade(course, target, now)
}

/** Nothing was paid for the period that ends here. */
function enterAnew(course: Course, target: Agreed, now: Date): void {
  end(course, now)
  enter(course, target, now)
}

/** The period and its anchor stay; the plan is another for the rest of it. */
function takeOver(course: Course, target: Agreed, now: Date): void {
  chargeRest(course, 'proration_charge', target, now)
  adopt(course, target, now, 'paid')
  if (course.period) Object.assign(course.period, referenceOf(target))
}

function upgrade(course: Course, target: Agreed, now: Date): void {
  chargeRest(course, 'proration_credit', course.agreed, now)
  if (course.agreed.plan.interval === target.plan.interval) {
    takeOver(course, target, now)
  } else {
    end(course, now)
    enterPaid(course, target, now)
  }
}

function refuseUnchanged({ subscription, agreed, pending }: Course, target: Agreed): void {
  const next = pending ?? agreed
  if (isSamePlan(referenceOf(target), referenceOf(next)) && !subscription.cancelAtPeriodEnd)
    throw alreadyOnPlan(`The organization is on ${target.plan.name} already, or will be when the period ends.`)
  if (isSamePlan(referenceOf(target), referenceOf(agreed)))
    throw alreadyOnPlan(`The organization is on ${target.plan.name} now. Withdraw the change, or reactivate, to stay.`)
}

function postpone(course: Course, target: Agreed): void {
  const { key: planKey, version } = target.plan
  course.pending = target
  course.subscription.pending = { planKey, version, isCustom: target.isCustom }
}

/** Takes a change back that waits for the end of the period. */
export function withdraw(course: Course): void {
  if (!course.pending) throw nothingPending('No change waits for the end of the period.')
  course.pending = null
  course.subscription.pending = null
}

/** Lets the subscription end with its period; then the organization is on the default plan. */
export function cancel(course: Course, now: Date): void {
  const { subscription, agreed, fallback } = course
  refuseProvider(course)
  if (subscription.cancelAtPeriodEnd)
    throw cancelState('The subscription is canceled already: it ends with its period.')
  if (agreed.plan.key === fallback.plan.key && !agreed.isCustom && !course.pending)
    throw cancelState(`${agreed.plan.name} is what is left when a subscription ends.`)
  course.pending = null
  Object.assign(subscription, { cancelAtPeriodEnd: true, pending: null })
  if (!course.period) succeed(course, now)
}

/** Takes a cancellation back. */
export function reactivate({ subscription }: Course): void {
  if (!subscription.cancelAtPeriodEnd) throw cancelState('The subscription is not canceled.')
  subscription.cancelAtPeriodEnd = false
}

/** Stops ingestion now. The period runs out, and no other follows. */
export function pause(course: Course, now: Date): void {
  const { subscription, agreed, pending } = course
  refuseProvider(course)
  if (subscription.status !== 'active')
    throw pauseState(`A subscription that is ${subscription.status} cannot be paused.`)
  Object.assign(subscription, { status: 'paused', pausedAt: now })
  adopt(course, agreed, now, 'paused')
  if (pending) postpone(course, pending)
}

/** Goes on within the period that is paid, or with a new one from now on. */
export function resume(course: Course, now: Date): void {
  const { subscription, agreed, pending, period } = course
  if (subscription.status !== 'paused') throw pauseState('The subscription is not paused.')
  subscription.pausedAt = null
  if (period) {
    subscription.status = 'active'
    adopt(course, agreed, now, 'paid')
    if (pending) postpone(course, pending)
  } else enterPaid(course, pending ?? agreed, now)
}

/** Ends the subscription at once: its usage is billed, and nothing is paid back. */
export function closeNow(course: Course, now: Date): void {
  end(course, now)
  succeed(course, now)
}

/** What a payment provider has agreed with a customer is changed there, or the two would differ. */
function refuseProvider({ subscription }: Course): void {
  if (subscription.provider !== 'manual')
    throw managedByProvider('The payment provider manages this subscription: change it in the billing portal.')
}
