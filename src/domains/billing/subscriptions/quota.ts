import type { Plan } from '../catalog/schemas.ts'
import type { Course } from './course.ts'
import type { Agreed } from './plan-reference.ts'
import type { Period } from './records.ts'

/** What the door holds the events of a period against. */
export interface QuotaPeriod {
  periodId: string
  startsAtMs: number
  /** Exclusive. */
  endsAtMs: number
  /** Events in the period; null has no limit. */
  limit: bigint | null
  mode: 'hard' | 'soft' | 'hold' | 'sample'
  /** Null has no limit of its own. */
  eventsPerSecond: number | null
}

export interface QuotaPolicy {
  organizationId: string
  stopped: null | 'paused' | 'canceled'
  /** While it is stopped past its end, the last one. */
  current: QuotaPeriod
  /** What begins where the current one ends, as things stand; null while nothing would. */
  next: QuotaPeriod | null
}

/** What the operator has set in the place of the plan's limit. */
export type LimitOverride = { perPeriod: string | null; mode: string } | null

export function quotaOf(period: Period, { plan }: Agreed, override: LimitOverride): QuotaPeriod {
  const { perPeriod, mode } = override ?? (period.isTrial ? trialLimit(plan) : plan.limits.events)
  return {
    periodId: period.id,
    startsAtMs: period.startsAt.getTime(),
    endsAtMs: period.endsAt.getTime(),
    limit: perPeriod === null ? null : BigInt(perPeriod),
    mode: mode as QuotaPeriod['mode'],
    eventsPerSecond: plan.limits.eventsPerSecond,
  }
}

/** Who tries a plan uses what it includes, and nothing that would have to be paid. */
function trialLimit(plan: Plan): { perPeriod: string | null; mode: string } {
  const price = plan.metered.find(({ meter }) => meter === 'events')?.price
  return price ? { perPeriod: price.included ?? '0', mode: 'hard' } : plan.limits.events
}

/** Where the organization of a course stands at the door; `after` is the same course rolled to the end of its period. */
export function policyOf(course: Course, after: Course | null, override: LimitOverride): QuotaPolicy {
  const { organizationId, subscription, latest, agreed } = course
  if (!latest) throw new Error('a subscription has had a period')
  const next = after?.period && subscription.status !== 'paused' ? quotaOf(after.period, after.agreed, override) : null
  const stopped = subscription.status === 'paused' ? 'paused' : null
  return { organizationId, stopped, current: quotaOf(latest, agreed, override), next }
}
