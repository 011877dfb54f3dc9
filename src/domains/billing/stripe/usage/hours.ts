const HOUR_MS = 3_600_000
/** How long Stripe leaves an invoice open that a period has made, if nobody changes that there. */
const DRAFT_MS = HOUR_MS
/** Stripe takes usage of the last 35 days. */
const LOOK_BACK_MS = 34 * 24 * HOUR_MS

export const hourOf = (time: Date) => new Date(Math.floor(time.getTime() / HOUR_MS) * HOUR_MS)
export const hourAfter = (hour: Date) => new Date(hour.getTime() + HOUR_MS)

interface Period {
  createdAt: Date
  periodStartsAt: Date
}

/** The hours that can be pushed at all: since the subscription began, and as far as they are over. */
export function pushableHours({ createdAt }: Pick<Period, 'createdAt'>, now: Date): { from: Date; to: Date } {
  const from = new Date(Math.max(createdAt.getTime(), now.getTime() - LOOK_BACK_MS))
  return { from: hourOf(from), to: hourOf(now) }
}

/** Whether an hour goes out although more of it may come: the invoice that it belongs on is closed soon. */
export const isUrgent = (hour: Date, { periodStartsAt }: Period, now: Date): boolean =>
  hourAfter(hour) <= periodStartsAt && isDraft(periodStartsAt, now)

/**
 * The time that Stripe is told: the last second of the hour, so that an hour in which a period begins belongs to that period, as it does
 * on our own invoices. What comes after the invoice of its period was closed is billed with the running one.
 */
export function stampOf(hour: Date, { periodStartsAt }: Period, now: Date): Date {
  const last = new Date(hourAfter(hour).getTime() - 1000)
  return last < periodStartsAt && !isDraft(periodStartsAt, now) ? periodStartsAt : last
}

const isDraft = (periodStartsAt: Date, now: Date) => now.getTime() < periodStartsAt.getTime() + DRAFT_MS
