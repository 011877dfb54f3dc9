import type { FilterSchema } from '../../src/domains/insights/index.ts'
import type { MathName, TrendAnswer, TrendQuery } from '../../src/domains/insights/schemas.ts'
import type { TestEvent } from './insights.ts'

/**
 * Trends computed the slow and obvious way, over events in memory, sharing no code with the application: buckets are found by asking
 * Intl what the clock on the wall shows.
 */
export function naiveTrend(query: TrendQuery, events: readonly TestEvent[]): Pick<TrendAnswer, 'data' | 'groups'> {
  const [fromMs, toMs] = [Date.parse(String(query.from)), Date.parse(String(query.to))]
  const current = { fromMs, toMs, keys: wallKeys(fromMs, toMs, query) }
  const before = query.compare ? previousRange(fromMs, toMs, query) : undefined
  const previous = before && { ...before, keys: wallKeys(before.fromMs, before.toMs, query) }
  const data: TrendAnswer['data'] = []
  const groups: TrendAnswer['groups'] = []
  query.series.forEach((series, index) => {
    const matching = events.filter((event) => counts(event, series))
    const now = split(matching, current, query)
    const then = previous ? split(matching, previous, query) : new Map<string, Group>()
    const names = new Set([...now.keys(), ...then.keys(), ...(query.breakdown?.length ? [] : ['null'])])
    const entries = [...names].map((name) => {
      const [ours, before] = [now.get(name) ?? NOTHING, then.get(name) ?? NOTHING]
      const points = (group: Group, keys: Map<string, number>) =>
        [...keys].map(([bucket, ms]) => ({
          time: new Date(ms).toISOString(),
          value: aggregate(group.buckets.get(bucket) ?? [], series),
        }))
      const total = aggregate(ours.events, series)
      const entry = { series: index, breakdown: JSON.parse(name), total, points: points(ours, current.keys) }
      if (!previous) return { entry, rows: ours.events.length }
      const compared = { previous: points(before, previous.keys), previousTotal: aggregate(before.events, series) }
      return { entry: { ...entry, ...compared }, rows: ours.events.length }
    })
    entries.sort((a, b) => Number(b.rows > 0) - Number(a.rows > 0) || (b.entry.total ?? 0) - (a.entry.total ?? 0))
    const limit = query.breakdown?.length ? (query.limit ?? 25) : 1
    data.push(...entries.map(({ entry }) => entry))
    groups.push({ series: index, shown: Math.min(limit, entries.length), total: entries.length })
  })
  return { data, groups }
}

interface Group {
  events: TestEvent[]
  buckets: Map<string, TestEvent[]>
}
const NOTHING: Group = { events: [], buckets: new Map() }

/** The events of the range by the JSON text of their group, and again by their bucket. */
function split(
  events: readonly TestEvent[],
  { fromMs, toMs }: { fromMs: number; toMs: number },
  query: TrendQuery,
): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const event of events) {
    const ms = Date.parse(event.timestamp)
    if (ms < fromMs || ms >= toMs) continue
    const name = JSON.stringify(groupOf(event, query))
    const group = groups.get(name) ?? { events: [], buckets: new Map<string, TestEvent[]>() }
    groups.set(name, group)
    group.events.push(event)
    const key = wallKey(ms, query)
    const bucket = group.buckets.get(key) ?? []
    group.buckets.set(key, bucket)
    bucket.push(event)
  }
  return groups
}

function previousRange(fromMs: number, toMs: number, { interval, timeZone = 'UTC' }: TrendQuery) {
  const back = (ms: number, count: number) =>
    Temporal.Instant.fromEpochMilliseconds(ms)
      .toZonedDateTimeISO(timeZone)
      .subtract({ [`${interval}s`]: count }).epochMilliseconds
  let count = 1
  while (back(toMs, count) > fromMs) count += 1
  return { fromMs: back(fromMs, count), toMs: back(toMs, count) }
}

const STEP_MS = 15 * 60_000

/** Every bucket's key in order, with the bucket's start. No zone changes its clock but on a quarter of an hour. */
function wallKeys(fromMs: number, toMs: number, query: TrendQuery): Map<string, number> {
  const stepMs = query.interval === 'minute' ? 60_000 : STEP_MS
  const keys = new Map<string, number>()
  for (let ms = fromMs - (fromMs % stepMs); ms < toMs; ms += stepMs) {
    const key = wallKey(ms, query)
    if (!keys.has(key)) keys.set(key, ms)
  }
  const [first] = keys
  if (first) {
    let start = first[1]
    while (wallKey(start - stepMs, query) === first[0]) start -= stepMs
    keys.set(first[0], start)
  }
  return keys
}

const seen = new Map<string, { day: string; hour: string; weekDay: number }>()
const formats = new Map<string, Intl.DateTimeFormat>()

function wallKey(ms: number, { interval, timeZone = 'UTC' }: Pick<TrendQuery, 'interval' | 'timeZone'>): string {
  if (interval === 'minute') return String(Math.floor(ms / 60_000))
  const { day, hour, weekDay } = wallClock(ms - (ms % STEP_MS), timeZone)
  if (interval === 'hour') return hour
  if (interval === 'month') return day.slice(0, 7)
  if (interval === 'day') return day
  return new Date(Date.parse(day) - ((weekDay + 6) % 7) * 86_400_000).toISOString()
}

function wallClock(ms: number, timeZone: string) {
  const known = seen.get(`${timeZone}${ms}`)
  if (known) return known
  const format =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short', timeStyle: 'long', hourCycle: 'h23' })
  formats.set(timeZone, format)
  const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]))
  const day = `${parts.year}-${parts.month}-${parts.day}`
  const offset = Date.parse(`${day}T${parts.hour}:${parts.minute}:${parts.second}Z`) - ms
  const clock = { day, hour: `${day} ${parts.hour} ${offset}`, weekDay: new Date(day).getUTCDay() }
  seen.set(`${timeZone}${ms}`, clock)
  return clock
}

function groupOf(event: TestEvent, { breakdown = [] }: TrendQuery): Record<string, unknown> | null {
  if (breakdown.length === 0) return null
  const shown = (value: unknown) =>
    typeof value === 'object' && value !== null ? JSON.stringify(value) : (value ?? null)
  return Object.fromEntries(breakdown.map((name) => [name, shown(fieldOf(event, name))]))
}

function fieldOf(event: TestEvent, name: string): unknown {
  if (name === 'distinctId') return event.userId ?? event.anonymousId
  const [head = '', ...path] = name.split('.')
  let value: unknown = (event as unknown as Record<string, unknown>)[head]
  for (const key of path)
    value = Array.isArray(value) ? undefined : (value as Record<string, unknown> | undefined | null)?.[key]
  return value
}

const numberOf = (event: TestEvent, property: string) =>
  fieldOf(event, /^(properties|traits|context)\./.test(property) ? property : `properties.${property}`)

function counts(
  event: TestEvent,
  { event: name, math, property, filters = [] }: TrendQuery['series'][number],
): boolean {
  if (name !== undefined && event.event !== name) return false
  if (math === 'uniqueUsers' && !fieldOf(event, 'distinctId')) return false
  if (property !== undefined && typeof numberOf(event, property) !== 'number') return false
  return filters.every((filter) => naiveMatch(event, filter))
}

function naiveMatch(event: TestEvent, { field, operator, value: wanted }: FilterSchema): boolean {
  const value = fieldOf(event, field) as string | number | undefined | null
  const same = (a: unknown, b: unknown) => typeof a === typeof b && a === b
  const comparable = typeof value === typeof wanted
  if (operator === 'isSet') return value != null
  if (operator === 'isNotSet') return value == null
  if (operator === 'eq') return same(value, wanted)
  if (operator === 'neq') return !same(value, wanted)
  if (operator === 'in') return (wanted as unknown[]).some((one) => same(value, one))
  if (operator === 'notIn') return !(wanted as unknown[]).some((one) => same(value, one))
  if (operator === 'contains') return typeof value === 'string' && value.includes(String(wanted))
  if (operator === 'notContains') return !(typeof value === 'string' && value.includes(String(wanted)))
  if (operator === 'gt') return comparable && (value as number) > (wanted as number)
  if (operator === 'lte') return comparable && (value as number) <= (wanted as number)
  throw new Error(`the naive computation does not know ${operator}`)
}

const LEVELS: Partial<Record<MathName, number>> = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 }

function aggregate(events: readonly TestEvent[], { math, property = '' }: TrendQuery['series'][number]): number | null {
  if (math === 'count') return events.length
  if (math === 'uniqueUsers') return new Set(events.map((event) => fieldOf(event, 'distinctId'))).size
  const numbers = events.map((event) => numberOf(event, property) as number).sort((a, b) => a - b)
  const sum = numbers.reduce((total, number) => total + number, 0)
  if (math === 'sum') return sum
  const [least, most] = [numbers.at(0), numbers.at(-1)]
  if (least === undefined || most === undefined) return null
  if (math === 'min') return least
  if (math === 'max') return most
  if (math === 'avg') return sum / numbers.length
  const place = (numbers.length - 1) * (LEVELS[math] ?? 0)
  const [below = 0, above = below] = [numbers[Math.floor(place)], numbers[Math.floor(place) + 1]]
  return below + (above - below) * (place - Math.floor(place))
}
