import { adopt, type Course, end, enterPaid, openPaid, succeed } from './course.ts'
import { isSamePlan, referenceOf } from './plan-reference.ts'

/** Ends every period whose time is over, in order, and opens those that follow, however many were missed. */
export function roll(course: Course, now: Date): void {
  while (course.period && course.period.endsAt <= now) follow(course, course.period.endsAt)
}

function follow(course: Course, at: Date): void {
  const { subscription, agreed } = course
  end(course, at)
  if (subscription.cancelAtPeriodEnd) return succeed(course, at)
  if (subscription.status === 'paused') return
  const next = course.pending ?? agreed
  if (subscription.status === 'trialing') return enterPaid(course, next, at)
  if (!isSamePlan(referenceOf(next), referenceOf(agreed))) {
    // A month and a year have no boundaries in common that would keep the day.
    if (next.plan.interval !== agreed.plan.interval) subscription.anchor = at
    adopt(course, next, at, 'paid')
  }
  openPaid(course, at, 'period_end')
}
