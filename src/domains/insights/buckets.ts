/** Intervals of a chart. All but the minute, which is the same everywhere, are aligned to the clock and calendar of a time zone. */
export const INTERVALS = ['minute', 'hour', 'day', 'week', 'month'] as const
export type Interval = (typeof INTERVALS)[number]

/** A span of time, epoch milliseconds; `toMs` is outside of it. */
export interface Span {
  fromMs: number
  toMs: number
}

/** Equal buckets that follow each other: they begin at `startMs`, each is `stepMs` long, and the first has the index `first`. */
export interface Run {
  startMs: number
  stepMs: number
  first: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/**
 * Starts of all buckets that touch the span, in order, epoch milliseconds; the first may lie before the span. Days have 23 or 25
 * hours where the clock changes, and an hour that the clock shows twice is two buckets.
 */
export function bucketStarts({ fromMs, toMs }: Span, interval: Interval, timeZone: string): number[] {
  const starts: number[] = []
  let start = floorToInterval(fromMs, interval, timeZone)
  while (start < toMs) {
    starts.push(start)
    start = nextStart(start, interval, timeZone)
  }
  return starts
}

/**
 * The buckets as few runs, so that a statement can find the bucket of a row by arithmetic and needs no calendar of its own: a year of
 * days is one run in UTC and five where the clock changes twice. The first bucket begins with the span.
 */
export function toRuns(starts: readonly number[], { fromMs, toMs }: Span, first: number): Run[] {
  const runs: Run[] = []
  starts.forEach((start, index) => {
    const startMs = Math.max(start, fromMs)
    const stepMs = (starts[index + 1] ?? toMs) - startMs
    const isLast = index === starts.length - 1
    const run = runs.at(-1)
    if (run && (run.stepMs === stepMs || (isLast && stepMs < run.stepMs))) return
    runs.push({ startMs, stepMs, first: first + index })
  })
  return runs
}

/**
 * The span moved back by the fewest whole intervals that make it end at or before its own start, so that its buckets line up with
 * the span's one to one: a week by day is compared with the seven days before, a quarter by month with the three months before, and
 * today until noon with yesterday until noon.
 */
export function previousSpan(span: Span, interval: Interval, timeZone: string): Span {
  let count = Math.max(1, Math.floor((span.toMs - span.fromMs) / LONGEST_MS[interval]))
  while (moveBack(span.toMs, count, interval, timeZone) > span.fromMs) count += 1
  return {
    fromMs: moveBack(span.fromMs, count, interval, timeZone),
    toMs: moveBack(span.toMs, count, interval, timeZone),
  }
}

/** No interval is longer than this, whatever the clock does. */
const LONGEST_MS: Record<Interval, number> = {
  minute: MINUTE_MS,
  hour: HOUR_MS,
  day: 48 * HOUR_MS,
  week: 8 * 24 * HOUR_MS,
  month: 32 * 24 * HOUR_MS,
}

function moveBack(ms: number, count: number, interval: Interval, timeZone: string): number {
  return inZone(ms, timeZone).subtract({ [`${interval}s`]: count }).epochMilliseconds
}

function inZone(ms: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timeZone)
}

function floorToInterval(ms: number, interval: Interval, timeZone: string): number {
  if (interval === 'minute') return ms - (ms % MINUTE_MS)
  const time = inZone(ms, timeZone)
  if (interval === 'hour') return time.round({ smallestUnit: 'hour', roundingMode: 'floor' }).epochMilliseconds
  if (interval === 'day') return time.startOfDay().epochMilliseconds
  const back = interval === 'week' ? time.dayOfWeek - 1 : time.day - 1
  return time.subtract({ days: back }).startOfDay().epochMilliseconds
}

function nextStart(start: number, interval: Interval, timeZone: string): number {
  if (interval === 'minute') return start + MINUTE_MS
  if (interval === 'hour') {
    const floored = floorToInterval(start + HOUR_MS, interval, timeZone)
    // Where the clock goes back by less than an hour, the time an hour later rounds down to the same start.
    return floored > start ? floored : start + HOUR_MS
  }
  return inZone(start, timeZone)
    .add({ [`${interval}s`]: 1 })
    .startOfDay().epochMilliseconds
}
