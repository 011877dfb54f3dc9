import type { StripeSubscription } from '../records.ts'

const HOUR_MS = 3_600_000
/** How long Stripe leaves an invoice open that a period has made, if nobody changes that there. */
const DRAFT_MS = HOUR_MS
/** Stripe takes usage of the last 35 days. */
const LOOK_BACK_MS = 34 * 24 * HOUR_MS

export const hourOf = (time: Date) => new Date(Math.floor(time.getTime() / HOUR_MS) * HOUR_MS)
export const hourAfter = (hour: Date) => new Date(hour.getTime() + HOUR_MS)

/** How long usage is told after the end of a subscription, whose last invoice is open a while. */
const FAREWELL_MS = 24 * HOUR_MS

interface Period {
  createdAt: Date
  /** Of one that has ended its end, up to which its last invoice goes. */
  periodStartsAt: Date
  endedAt: Date | null
}

type Subscription = Pick<
  StripeSubscription,
  'status' | 'createdAt' | 'periodStartsAt' | 'periodEndsAt' | 'canceledAt' | 'cancelAtPeriodEnd'
>

/** What of a subscription decides about its hours; undefined for one that ended so long ago that nothing is told of it anymore. */
export function billedOf(subscription: Subscription, now: Date): Period | undefined {
  const { status, createdAt, periodStartsAt, periodEndsAt, canceledAt, cancelAtPeriodEnd } = subscription
  if (status === 'incomplete_expired') return undefined
  if (status !== 'canceled') return { createdAt, periodStartsAt, endedAt: null }
  // One that was to end with its period says in `canceledAt` when somebody wanted that.
  const endedAt = cancelAtPeriodEnd ? periodEndsAt : canceledAt
  if (endedAt === null || now.getTime() >= endedAt.getTime() + FAREWELL_MS) return undefined
  return { createdAt, periodStartsAt: endedAt, endedAt }
}

/** The hours that can be pushed at all: from the beginning of the subscription to its end, and as far as they are over. */
export function pushableHours({ createdAt, endedAt }: Period, now: Date): { from: Date; to: Date } {
  const from = new Date(Math.max(createdAt.getTime(), now.getTime() - LOOK_BACK_MS))
  return { from: hourOf(from), to: hourOf(endedAt && endedAt < now ? endedAt : now) }
}

/** Whether an hour goes out although more of it may come: the invoice that it belongs on is closed soon. */
export const isUrgent = (hour: Date, { periodStartsAt }: Period, now: Date): boolean =>
  hourAfter(hour) <= periodStartsAt && isDraft(periodStartsAt, now)

/**
 * The time that Stripe is told: the last second of the hour, so that an hour in which a period begins belongs to that period, as it does
 * on our own invoices. What comes after the invoice of its period was closed is billed with the running one.
 */
export function stampOf(hour: Date, { periodStartsAt, endedAt }: Period, now: Date): Date {
  const last = new Date(hourAfter(hour).getTime() - 1000)
  return last < periodStartsAt && endedAt === null && !isDraft(periodStartsAt, now) ? periodStartsAt : last
}

const isDraft = (periodStartsAt: Date, now: Date) => now.getTime() < periodStartsAt.getTime() + DRAFT_MS
