const HOUR_MS = 3_600_000
const SECOND_MS = 1000

export type BillingInterval = 'month' | 'year'

/** Where the boundaries of periods lie: whole months or years after the anchor, by the wall clock of the time zone. */
export interface PeriodGrid {
  anchor: Date
  timeZone: string
  interval: BillingInterval
}

/**
 * The first boundary after a time. Each is counted from the anchor and not from the one before, so that a 31st that February had to cut
 * is a 31st again in March. A wall clock time that a change of the clock leaves out is taken an hour later, and one that it shows twice
 * the first time.
 */
export function boundaryAfter({ anchor, timeZone, interval }: PeriodGrid, after: Date): Date {
  const start = zoned(anchor, timeZone)
  const boundary = (count: number) => start.add({ [`${interval}s`]: count }).epochMilliseconds
  // Whole units that have passed; the clamped last day of a month can make it one too few, never one too many.
  let count = start.until(zoned(after, timeZone), { largestUnit: interval })[`${interval}s`]
  while (boundary(count) <= after.getTime()) count += 1
  return new Date(boundary(count))
}

const zoned = (time: Date, timeZone: string): Temporal.ZonedDateTime =>
  Temporal.Instant.fromEpochMilliseconds(time.getTime()).toZonedDateTimeISO(timeZone)

/** The hours of a period: usage is counted by whole hours of UTC, each in the period in which it ends, and none in two. */
export function usageHours(
  startsAt: Date,
  endsAt: Date,
  previousUsageTo: Date | null,
): { usageFrom: Date; usageTo: Date } {
  const usageFrom = later(floorHour(startsAt), previousUsageTo)
  return { usageFrom, usageTo: later(floorHour(endsAt), usageFrom) }
}

const floorHour = (time: Date): Date => new Date(Math.floor(time.getTime() / HOUR_MS) * HOUR_MS)
const later = (one: Date, other: Date | null): Date => (other && other > one ? other : one)

/** Amounts are divided by the second, so everything in billing happens at whole ones. */
export const wholeSecond = (time: Date): Date => new Date(Math.floor(time.getTime() / SECOND_MS) * SECOND_MS)
