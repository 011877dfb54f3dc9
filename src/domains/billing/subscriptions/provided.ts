import { adopt, type Course, chargeRest, end, open, openPaid, succeed } from './course.ts'
import { usageHours } from './period-clock.ts'
import { type Agreed, isSamePlan, referenceOf } from './plan-reference.ts'
import { roll } from './rolling.ts'

/** A subscription as a payment provider has it. */
export interface Provided {
  stripeSubscriptionId: string
  status: 'trialing' | 'active' | 'paused' | 'canceled'
  agreed: Agreed
  startsAt: Date
  endsAt: Date
  cancelAtPeriodEnd: boolean
}

/**
 * Makes the subscription what the provider says. The same twice changes nothing, and the end of a subscription that was replaced does not
 * touch the one that lives. What is owed is noted as for everybody, so that our invoice says what the provider's does. False when
 * everything was so already.
 */
export function follow(course: Course, provided: Provided, time: Date): boolean {
  // Where the provider's clock is ahead, what has begun there begins here, or the same period would begin again when it is told again.
  const isAhead = provided.startsAt > time
  const now = isAhead ? provided.startsAt : time
  if (isAhead) roll(course, now)
  const isOurs = course.subscription.stripeSubscriptionId === provided.stripeSubscriptionId
  if (provided.status === 'canceled') return isOurs && close(course, now)
  const before = JSON.stringify([course.subscription, course.period])
  if (!isOurs || beginsAnew(course, provided)) renew(course, provided, now)
  else goOn(course, provided, now)
  course.subscription.cancelAtPeriodEnd = provided.cancelAtPeriodEnd
  return JSON.stringify([course.subscription, course.period]) !== before
}

function close(course: Course, now: Date): true {
  end(course, now)
  succeed(course, now)
  return true
}

function beginsAnew({ period, subscription }: Course, { status, startsAt }: Provided): boolean {
  if (!period) return status !== 'paused'
  const isOverTrial = subscription.status === 'trialing' && status === 'active'
  return isOverTrial || (startsAt > period.startsAt && startsAt < period.endsAt)
}

/** A period of the provider's begins: where it says, unless what we had was there later. */
function renew(course: Course, { agreed, status, startsAt, endsAt, ...provided }: Provided, now: Date): void {
  const floor = course.period?.startsAt ?? course.latest?.endsAt ?? startsAt
  const at = [startsAt, floor].reduce((one, other) => (one > other ? one : other))
  const from = at < now ? at : now
  end(course, from)
  const { stripeSubscriptionId } = provided
  const isTrial = status === 'trialing'
  const trial = isTrial ? { trialEndsAt: endsAt } : {}
  Object.assign(course.subscription, { provider: 'stripe', stripeSubscriptionId, status, anchor: startsAt, ...trial })
  Object.assign(course.subscription, { pausedAt: status === 'paused' ? now : null })
  adopt(course, agreed, from, KINDS[status] ?? 'paid')
  if (isTrial) open(course, from, endsAt)
  else openPaid(course, from, 'now', endsAt)
}

/** The period goes on, perhaps on another plan, to another end, or stopped. */
function goOn(course: Course, { agreed, status, endsAt }: Provided, now: Date): void {
  const { subscription, period } = course
  const isPausing = (status === 'paused') !== (subscription.status === 'paused')
  const isOther = !isSamePlan(referenceOf(agreed), referenceOf(course.agreed))
  if (isOther && status !== 'trialing') {
    // Stripe puts what a change costs on the invoice of the period's end, and so do we, or one claim would be two.
    chargeRest(course, 'proration_credit', course.agreed, now, 'period_end')
    chargeRest(course, 'proration_charge', agreed, now, 'period_end')
  }
  if (isPausing) Object.assign(subscription, { pausedAt: status === 'paused' ? now : null })
  subscription.status = status
  if (isOther || isPausing) adopt(course, agreed, now, KINDS[status] ?? 'paid')
  if (!period) return
  const { usageTo } = usageHours(period.startsAt, endsAt, period.usageFrom)
  Object.assign(period, referenceOf(agreed), { endsAt, usageTo })
}

const KINDS: Partial<Record<Provided['status'], 'trial' | 'paused'>> = { trialing: 'trial', paused: 'paused' }
