export const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS
/** How far back a forecast looks. */
export const HISTORY_MS = 4 * WEEK_MS
/** A profile of fewer weeks would take one bad day for a habit. */
const WEEKS_MIN = 2

/** What was used in one hour, zero or more. */
export interface HourOfUse {
  /** Its first moment, UTC. */
  startMs: number
  quantity: bigint
}

export interface ForecastInput {
  now: Date
  /** The period. */
  from: Date
  to: Date
  /** What was used of it until now. */
  used: bigint
  /** The hours of the last four weeks, in any order; those without use may be left out. */
  hours: readonly HourOfUse[]
}

export interface Forecast {
  /** What will have been used at the end of the period. */
  expected: bigint
  low: bigint
  high: bigint
  /** By the habits of the hours of the week, or by what was used so far in the time that has passed. */
  method: 'profile' | 'linear'
}

/** A stretch of what is left of the period, with what will be used in it, in parts of one. */
interface Step {
  fromMs: number
  toMs: number
  parts: bigint
}

/** What is expected until the end, as quantities times `divisor`, so that nothing is rounded before its end. */
interface Course {
  method: Forecast['method']
  steps: Step[]
  divisor: bigint
  range: (rest: bigint) => { low: bigint; high: bigint }
}

/** What a period will come to; null before it has begun. The same input gives the same forecast. */
export function forecastOf(input: ForecastInput): Forecast | null {
  const course = courseOf(input)
  if (!course) return null
  const { method, steps, divisor, range } = course
  const rest = steps.reduce((sum, { parts }) => sum + parts, 0n)
  const { low, high } = range(rest)
  const { used } = input
  return { method, expected: used + rest / divisor, low: used + low, high: used + high }
}

/** When a quantity is expected to be used up; null where that is not before the end, or has happened. */
export function reachedAt(input: ForecastInput, quantity: bigint): Date | null {
  const course = courseOf(input)
  if (!course || input.used >= quantity) return null
  let missing = (quantity - input.used) * course.divisor
  for (const { fromMs, toMs, parts } of course.steps) {
    if (parts >= missing) return new Date(fromMs + Number((BigInt(toMs - fromMs) * missing + parts - 1n) / parts))
    missing -= parts
  }
  return null
}

function courseOf(input: ForecastInput): Course | null {
  const { now, from, to } = input
  if (now <= from) return null
  if (now >= to) return { method: 'linear', steps: [], divisor: 1n, range: () => ({ low: 0n, high: 0n }) }
  return profileCourse(input) ?? linearCourse(input)
}

/** Goes on as the same hours of the week were in the last two to four weeks; the range is that between the worst and the best of them. */
function profileCourse({ now, to, hours }: ForecastInput): Course | null {
  const endMs = Math.floor(now.getTime() / HOUR_MS) * HOUR_MS
  const known = hours.filter(({ startMs, quantity }) => startMs < endMs && quantity > 0n)
  const firstMs = known.reduce((first, { startMs }) => Math.min(first, startMs), endMs)
  const count = Math.min(HISTORY_MS, endMs - firstMs) / WEEK_MS
  if (count < WEEKS_MIN) return null
  const weeks: bigint[] = Array.from({ length: Math.floor(count) }, () => 0n)
  const profile: bigint[] = Array.from({ length: WEEK_MS / HOUR_MS }, () => 0n)
  for (const { startMs, quantity } of known) {
    const week = Math.floor((endMs - HOUR_MS - startMs) / WEEK_MS)
    if (weeks[week] === undefined) continue
    weeks[week] += quantity
    profile[slotOf(startMs)] = (profile[slotOf(startMs)] ?? 0n) + quantity
  }
  const steps: Step[] = []
  for (let fromMs = now.getTime(); fromMs < to.getTime(); ) {
    const toMs = Math.min(to.getTime(), (Math.floor(fromMs / HOUR_MS) + 1) * HOUR_MS)
    steps.push({ fromMs, toMs, parts: (profile[slotOf(fromMs)] ?? 0n) * BigInt(toMs - fromMs) })
    fromMs = toMs
  }
  const all = weeks.reduce((sum, one) => sum + one, 0n)
  const divisor = BigInt(weeks.length * HOUR_MS)
  const share = (rest: bigint, week: bigint) =>
    all === 0n ? 0n : (rest * week * BigInt(weeks.length)) / (divisor * all)
  const range = (rest: bigint) => ({ low: share(rest, least(weeks)), high: share(rest, most(weeks)) })
  return { method: 'profile', steps, divisor, range }
}

/**
 * Goes on as the period has been so far. The range is that between its worst and its best whole day; with fewer than two of them, between
 * nothing more and twice as much.
 */
function linearCourse({ now, from, to, used, hours }: ForecastInput): Course {
  const [nowMs, toMs] = [now.getTime(), to.getTime()]
  const divisor = BigInt(nowMs - from.getTime())
  const restMs = BigInt(toMs - nowMs)
  const days = wholeDays(from.getTime(), nowMs, hours)
  const range = (rest: bigint) => {
    const expected = rest / divisor
    if (days.length < 2) return { low: 0n, high: 2n * expected }
    const [worst, best] = [least(days), most(days)].map((day) => (day * restMs) / BigInt(DAY_MS)) as [bigint, bigint]
    return { low: worst < expected ? worst : expected, high: best > expected ? best : expected }
  }
  return { method: 'linear', steps: [{ fromMs: nowMs, toMs, parts: used * restMs }], divisor, range }
}

/** What was used in the last whole days of the period, counted back from now. */
function wholeDays(fromMs: number, nowMs: number, hours: readonly HourOfUse[]): bigint[] {
  const endMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS
  const count = Math.max(0, Math.floor(Math.min(HISTORY_MS, endMs - fromMs) / DAY_MS))
  const days: bigint[] = Array.from({ length: count }, () => 0n)
  for (const { startMs, quantity } of hours) {
    const day = Math.floor((endMs - HOUR_MS - startMs) / DAY_MS)
    if (startMs < endMs && days[day] !== undefined) days[day] += quantity
  }
  return days
}

/** The hour of the week, from the first of 1970 on. */
const slotOf = (ms: number) => Math.floor(ms / HOUR_MS) % (WEEK_MS / HOUR_MS)
const ascending = (values: readonly bigint[]) =>
  values.toSorted((one, other) => (one < other ? -1 : one > other ? 1 : 0))
const least = (values: readonly bigint[]) => ascending(values)[0] ?? 0n
const most = (values: readonly bigint[]) => ascending(values).at(-1) ?? 0n
