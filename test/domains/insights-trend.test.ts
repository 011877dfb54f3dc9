import t, { type Test } from 'tap'
import { createInsightsService, type FilterSchema } from '../../src/domains/insights/index.ts'
import { MATHS, type TrendAnswer, type TrendQuery } from '../../src/domains/insights/schemas.ts'
import { newId } from '../../src/ids.ts'
import { newEvent, openEventStore, seededRandom, someGeo, someSource, type TestEvent } from '../helpers/insights.ts'
import { naiveTrend } from '../helpers/naive-trend.ts'

const SEED = Number(process.env.TEST_SEED ?? 20260329)
const QUERIES = 200
const EVENTS = 2000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const COMPLETE_THROUGH = new Date('2026-07-01T00:00:00Z')

const random = seededRandom(SEED)
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
const chance = (probability: number) => random() < probability

const NAMES = ['Order Completed', 'Page Viewed', `It's "odd" \\ {p0:String}`]
const MIXED = [1, 1.5, -3, '1', 'x', true, false, null, [1, 'a'], { a: 1 }]

/** Half of the times lie around a change of the clock in Europe, Lord Howe and Santiago, the others in ten months. */
function randomTime(): number {
  const spring = Date.UTC(2026, 2, 27)
  return chance(0.5)
    ? spring + Math.floor(random() * 11 * DAY_MS)
    : Date.UTC(2025, 8) + Math.floor(random() * 300 * DAY_MS)
}

/** `timeMs` is what the sender's clock said; one in three clocks is wrong, by up to a day. */
function randomEvent(messageId: string, timeMs: number): TestEvent {
  const clockSkewMs = chance(0.3) ? Math.round((random() - 0.5) * 2 * DAY_MS) : 0
  const receivedAt = new Date(timeMs + Math.floor(random() * HOUR_MS)).toISOString()
  return newEvent({
    messageId,
    event: pick(NAMES),
    type: pick(['track', 'page']),
    userId: chance(0.5) ? `user-${Math.floor(random() * 60)}` : null,
    anonymousId: chance(0.7) ? `anon-${Math.floor(random() * 60)}` : null,
    timestamp: new Date(timeMs - clockSkewMs).toISOString(),
    clockSkewMs,
    receivedAt,
    geo: chance(0.8) ? someGeo({ country: pick(['DE', 'FR', 'US']), city: pick([null, 'Köln']) }) : null,
    source: chance(0.5) ? someSource({ channel: pick(['email', 'direct', null]) }) : null,
    isBot: chance(0.2),
    properties: {
      ...(chance(0.8) ? { total: Math.round(random() * 20_000) / 100 } : {}),
      ...(chance(0.7) ? { mixed: pick(MIXED) } : {}),
      ...(chance(0.5) ? { nested: { amount: Math.floor(random() * 10), plan: pick(['free', 'pro', 'é/"']) } } : {}),
    },
    context: { country: pick(['DE', 'FR', 'US', 'JP', 'Ñ']), load: pick([0, 1e-9, 12345678.9, 2 ** 40]) },
  })
}

/** Another copy of the event, of the same day and received later, that differs in everything that may differ. */
function laterCopy(event: TestEvent): TestEvent {
  const sendersMs = Date.parse(event.timestamp) + event.clockSkewMs
  const dayMs = sendersMs - (sendersMs % DAY_MS)
  const copy = randomEvent(event.messageId, dayMs + Math.floor(random() * DAY_MS))
  const receivedAt = new Date(Date.parse(event.receivedAt) + 1 + Math.floor(random() * DAY_MS)).toISOString()
  return { ...copy, event: event.event, receivedAt }
}

function randomFilter(): FilterSchema {
  return pick<FilterSchema>([
    { field: 'properties.mixed', operator: pick(['eq', 'neq']), value: pick([1, '1', true, 'x']) },
    { field: 'properties.mixed', operator: pick(['in', 'notIn']), value: [1, 'x', false] },
    { field: 'properties.nested.plan', operator: pick(['contains', 'notContains']), value: pick(['r', '/']) },
    { field: 'properties.total', operator: pick(['gt', 'lte']), value: 100 },
    { field: pick(['userId', 'properties.nested.amount', 'properties.mixed']), operator: pick(['isSet', 'isNotSet']) },
    { field: 'context.country', operator: 'eq', value: 'DE' },
    { field: 'geo.country', operator: pick(['eq', 'neq']), value: 'DE' },
    { field: 'isBot', operator: pick(['eq', 'neq']), value: pick([true, false]) },
    { field: 'event', operator: pick(['in', 'notIn']), value: NAMES.slice(1) },
  ])
}

function randomSeries(): TrendQuery['series'][number] {
  const math = pick(MATHS)
  return {
    math,
    ...(chance(0.5) ? { event: pick(NAMES) } : {}),
    ...(math === 'count' || math === 'uniqueUsers'
      ? {}
      : { property: pick(['total', 'nested.amount', 'properties.mixed', 'context.load']) }),
    ...(chance(0.4) ? { filters: [randomFilter(), ...(chance(0.3) ? [randomFilter()] : [])] } : {}),
  }
}

const DAYS_MAX = { minute: 1, hour: 12, day: 90, week: 200, month: 290 }

function randomQuery(): TrendQuery {
  const interval = pick(['minute', 'hour', 'day', 'week', 'month'] as const)
  const [start, length] = [randomTime(), 1 + Math.floor(random() * DAYS_MAX[interval] * DAY_MS)]
  const from = chance(0.5) ? start - (start % DAY_MS) : start
  const to = chance(0.5) ? from + Math.max(DAY_MS, length - (length % DAY_MS)) : from + length
  const series = Array.from({ length: interval === 'minute' ? 1 : pick([1, 1, 2, 3]) }, randomSeries)
  const fields = [
    'properties.mixed',
    'properties.nested',
    'properties.nested.plan',
    'context.country',
    'event',
    'userId',
    'type',
    'geo.country',
    'source.channel',
    'isBot',
  ]
  const breakdown = pick([[], [pick(fields)], [...new Set([pick(fields), pick(fields)])]])
  return {
    kind: 'trend',
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    interval,
    timeZone: pick(['UTC', 'Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'America/Santiago']),
    series,
    ...(chance(0.3) ? { compare: 'previous' as const } : {}),
    ...(breakdown.length > 0 ? { breakdown, limit: interval === 'minute' ? 3 : pick([1, 4, 18]) } : {}),
  }
}

const close = (a: number | null | undefined, b: number | null | undefined) =>
  a === b ||
  (typeof a === 'number' && typeof b === 'number' && Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b)))

type Entry = TrendAnswer['data'][number]

/** The first difference of an entry from the naive one, if any. */
function difference(actual: Entry, expected: Entry): string | undefined {
  if (!close(actual.total, expected.total)) return `total ${actual.total}, expected ${expected.total}`
  if (!close(actual.previousTotal, expected.previousTotal)) {
    return `previousTotal ${actual.previousTotal}, expected ${expected.previousTotal}`
  }
  for (const name of ['points', 'previous'] as const) {
    const [points, wanted] = [actual[name] ?? [], (expected[name] ?? []).slice(0, actual.points.length)]
    if (points.length !== wanted.length) return `${points.length} ${name}, expected ${wanted.length}`
    for (const [at, point] of points.entries()) {
      const want = wanted[at]
      if (point.time === want?.time && close(point.value, want.value)) continue
      return `${name} ${at} is ${JSON.stringify(point)}, expected ${JSON.stringify(want)}`
    }
  }
  return undefined
}

function compareAnswers(t: Test, name: string, actual: TrendAnswer, expected: ReturnType<typeof naiveTrend>): void {
  t.same(actual.groups, expected.groups, `groups: ${name}`)
  for (const { series, shown } of expected.groups) {
    const [entries, wanted] = [actual, expected].map(({ data }) => data.filter((entry) => entry.series === series))
    const totals = (list: Entry[] = []) => list.slice(0, shown).map(({ total }) => total)
    const isRanked = totals(wanted).every((total, at) => close(total, totals(entries)[at]))
    if (entries?.length !== shown || !isRanked) t.same(totals(entries), totals(wanted), `ranking of ${series}: ${name}`)
    for (const entry of entries ?? []) {
      const key = JSON.stringify(entry.breakdown)
      const match = wanted?.find(({ breakdown }) => JSON.stringify(breakdown) === key)
      const fault = match ? difference(entry, match) : 'no such group'
      if (fault) t.fail(`series ${series} ${key}: ${fault}: ${name}`)
    }
  }
}

t.test('random trends equal a naive computation over the events of their project, each counted once', async (t) => {
  const { clickhouse, insert } = await openEventStore(t)
  const insights = createInsightsService({ clickhouse, completeThrough: async () => COMPLETE_THROUGH })
  // Each of the others shares one id with the first, so that both must be asked for.
  const first = { organizationId: newId('org'), projectId: newId('prj') }
  const scopes = [first, { ...first, organizationId: newId('org') }, { ...first, projectId: newId('prj') }]
  const projects = scopes.map((scope) => {
    const events = Array.from({ length: EVENTS }, (_, index) => randomEvent(`message-${index}`, randomTime()))
    return { scope, events }
  })
  for (const { scope, events } of projects) {
    const copies = events.filter(() => chance(0.3))
    const rows = [...events, ...copies, ...events.filter(() => chance(0.3)).map(laterCopy)]
    const batches: TestEvent[][] = Array.from({ length: 6 }, () => [])
    for (const row of rows) pick(batches).push(row)
    for (const batch of batches) await insert(scope, batch)
  }

  let answered = 0
  for (let number = 0; number < QUERIES; number++) {
    const { scope, events } = projects[number % 3] ?? { scope: undefined, events: [] }
    if (!scope) throw new Error('three projects were made')
    const query = randomQuery()
    const answer = await insights.trend(scope, query)
    compareAnswers(t, `seed ${SEED}, query ${number}: ${JSON.stringify(query)}`, answer, naiveTrend(query, events))
    if (answer.data.some(({ total }) => total)) answered += 1
  }
  t.ok(answered > QUERIES / 2, `${answered} of ${QUERIES} queries found something`)
})
