import type { Static } from '@sinclair/typebox'
import type { TrendRow } from './queries.ts'
import type { MathName, TrendAnswer } from './schemas.ts'
import type { BreakdownField, Period, TrendPlan } from './trend.ts'

type Row = Static<typeof TrendRow>
type Entry = TrendAnswer['data'][number]

/** Puts the rows of a trend's statement into the shape of its answer: every bucket present, in the order of the query. */
export function trendAnswer(plan: TrendPlan, rows: readonly Row[]): Pick<TrendAnswer, 'data' | 'groups'> {
  const times = { current: timesOf(plan.current), previous: plan.previous && timesOf(plan.previous) }
  const data: Entry[] = []
  const groups: TrendAnswer['groups'] = []
  plan.series.forEach(({ math }, series) => {
    const found = rows.filter((row) => row.series === series)
    data.push(...found.map((row) => toEntry(plan.breakdown, times, math, row)))
    groups.push({ series, shown: found.length, total: found[0]?.groups ?? 0 })
  })
  return { data, groups }
}

/** Starts of the buckets as text; those of the previous period are numbered after the current ones. */
interface Times {
  current: string[]
  previous: string[] | undefined
}

const timesOf = ({ starts }: Period) => starts.map((start) => new Date(start).toISOString())

function toEntry(breakdown: readonly BreakdownField[], { current, previous }: Times, math: MathName, row: Row): Entry {
  const empty = emptyValue(math)
  const values = new Map(row.buckets.map((bucket, at) => [bucket, row.points[at] ?? null]))
  const pointsOf = (times: string[], first: number) =>
    times.map((time, at) => ({ time, value: values.get(first + at) ?? empty }))
  const entry: Entry = {
    series: row.series,
    breakdown: breakdown.length > 0 ? toBreakdown(breakdown, row.keys) : null,
    total: row.rows > 0 ? row.total : empty,
    points: pointsOf(current, 0),
  }
  if (!previous) return entry
  return {
    ...entry,
    previous: pointsOf(previous.slice(0, current.length), current.length),
    previousTotal: row.previousRows > 0 ? row.previousTotal : empty,
  }
}

/** What a math says of no events. */
function emptyValue(math: MathName): 0 | null {
  return math === 'count' || math === 'uniqueUsers' || math === 'sum' ? 0 : null
}

function toBreakdown(fields: readonly BreakdownField[], keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(fields.map(({ name, field }, at) => [name, toValue(field.kind, keys[at] ?? '')]))
}

/** A group's key as a value: text columns hold it as it is, keys from JSON are JSON text. */
export function toValue(kind: BreakdownField['field']['kind'], key: string): string | number | boolean | null {
  if (key === '') return null
  if (kind === 'text' || key.startsWith('{') || key.startsWith('[')) return key
  return JSON.parse(key)
}
