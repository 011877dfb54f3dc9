import type { FieldError } from '../../errors.ts'
import { readTimeZone } from '../../http/schemas.ts'
import { bucketStarts, previousSpan, type Span } from './buckets.ts'
import { type Condition, readFilters } from './conditions.ts'
import { refuseFaults } from './errors.ts'
import { type Field, type JsonField, parseField, parseProperty } from './fields.ts'
import { LIMITS, type MathName, type TrendQuery } from './schemas.ts'
import { checkInterval, readSpan } from './spans.ts'

/** A span and the starts of its buckets. */
export interface Period {
  span: Span
  starts: number[]
}

export interface SeriesPlan {
  event: string | undefined
  math: MathName
  /** The number that is aggregated, for every math but count and uniqueUsers. */
  property: JsonField | undefined
  conditions: Condition[]
}

export type BreakdownField = { name: string; field: Exclude<Field, { kind: 'time' }> }

/** A trend whose every part has been checked. */
export interface TrendPlan {
  current: Period
  previous: Period | undefined
  series: SeriesPlan[]
  breakdown: BreakdownField[]
  groupsMax: number
}

/** Checks a trend and lays out its buckets. Throws one 400 that names every faulty field, with pointers under `path`. */
export function planTrend(query: TrendQuery, path = ''): TrendPlan {
  const faults: FieldError[] = []
  const { interval, timeZone = 'UTC' } = query
  const series = query.series.map((entry, index) => planSeries(entry, `${path}/series/${index}`, faults))
  const breakdown = (query.breakdown ?? []).flatMap((name, index) =>
    planBreakdown(name, `${path}/breakdown/${index}`, faults),
  )
  if (readTimeZone(timeZone) === undefined)
    faults.push({ path: `${path}/timeZone`, message: 'is not an IANA time zone, such as Europe/Berlin' })
  const span = readSpan(query, path, faults)
  checkInterval(span, interval, path, faults)
  refuseFaults(faults)

  const periodOf = (span: Span): Period => ({ span, starts: bucketStarts(span, interval, timeZone) })
  const current = periodOf(span)
  const previous = query.compare === 'previous' ? periodOf(previousSpan(span, interval, timeZone)) : undefined
  const groupsMax = breakdown.length > 0 ? (query.limit ?? LIMITS.defaultGroups) : 1
  checkSize(current.starts.length, series.length, groupsMax, path)
  return { current, previous, series, breakdown, groupsMax }
}

function planSeries(entry: TrendQuery['series'][number], path: string, faults: FieldError[]): SeriesPlan {
  const { event, math, property: name, filters = [] } = entry
  const conditions = readFilters(filters, `${path}/filters`, faults)
  return { event, math, property: planProperty(math, name, `${path}/property`, faults), conditions }
}

function planProperty(
  math: MathName,
  name: string | undefined,
  path: string,
  faults: FieldError[],
): JsonField | undefined {
  const takesProperty = math !== 'count' && math !== 'uniqueUsers'
  if (takesProperty !== (name !== undefined)) {
    faults.push({ path, message: takesProperty ? `is required for ${math}` : `must be absent for ${math}` })
  }
  if (!takesProperty || name === undefined) return undefined
  const field = parseProperty(name)
  if (typeof field !== 'string' && field.kind === 'json') return field
  faults.push({ path, message: typeof field === 'string' ? field : 'must be inside of properties, traits or context' })
  return undefined
}

function planBreakdown(name: string, path: string, faults: FieldError[]): BreakdownField[] {
  const field = parseField(name)
  if (typeof field !== 'string' && field.kind !== 'time') return [{ name, field }]
  faults.push({ path, message: typeof field === 'string' ? field : 'is a time; the interval splits by time' })
  return []
}

function checkSize(buckets: number, series: number, groups: number, path: string): void {
  const points = buckets * series * groups
  if (points <= LIMITS.points) return
  const advice =
    groups > 1 ? 'lower the limit, choose a longer interval' : 'choose a longer interval, ask for fewer series'
  const message = `the answer could have ${points} points, of at most ${LIMITS.points}; ${advice} or narrow the range`
  refuseFaults([{ path: `${path}/${groups > 1 ? 'limit' : 'interval'}`, message }])
}
