import { adopt, type Course, end, enterPaid, openPaid, succeed } from './course.ts'
import { type Agreed, isSamePlan, referenceOf } from './plan-reference.ts'

/** Ends every period whose time is over, in order, and opens those that follow, however many were missed. */
export function roll(course: Course, now: Date): void {
  while (course.period && course.period.endsAt <= now) follow(course, course.period.endsAt)
}

function follow(course: Course, at: Date): void {
  const { subscription, agreed } = course
  const next = course.pending ?? agreed
  end(course, at)
  if (subscription.cancelAtPeriodEnd) succeed(course, at)
  else if (subscription.status === 'trialing') enterPaid(course, next, at)
  else if (subscription.status !== 'paused') goOn(course, next, at)
}

function goOn(course: Course, next: Agreed, at: Date): void {
  const { subscription, agreed } = course
  if (!isSamePlan(referenceOf(next), referenceOf(agreed))) {
    // A month and a year have no boundaries in common that would keep the day.
    if (next.plan.interval !== agreed.plan.interval) subscription.anchor = at
    adopt(course, next, at, 'paid')
  }
  openPaid(course, at, 'period_end')
}
