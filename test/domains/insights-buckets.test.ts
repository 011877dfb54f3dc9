import t from 'tap'
import { bucketStarts, INTERVALS, type Interval, previousSpan, toRuns } from '../../src/domains/insights/buckets.ts'
import { seededRandom } from '../helpers/insights.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

const span = (from: string, to: string) => ({ fromMs: Date.parse(from), toMs: Date.parse(to) })
const startsOf = (from: string, to: string, interval: Interval, timeZone: string) =>
  bucketStarts(span(from, to), interval, timeZone).map((ms) => new Date(ms).toISOString().replace(':00.000Z', 'Z'))
const lengthsOf = (from: string, to: string, interval: Interval, timeZone: string) => {
  const starts = [...bucketStarts(span(from, to), interval, timeZone), Date.parse(to)]
  return starts.slice(1).map((start, at) => (start - (starts[at] ?? 0)) / HOUR_MS)
}

t.test('days are the days of the time zone, with 23 and 25 hours where the clock changes', async (t) => {
  t.same(startsOf('2026-03-28T23:00Z', '2026-03-30T22:00Z', 'day', 'Europe/Berlin'), [
    '2026-03-28T23:00Z',
    '2026-03-29T22:00Z',
  ])
  t.same(lengthsOf('2026-03-28T23:00Z', '2026-03-30T22:00Z', 'day', 'Europe/Berlin'), [23, 24])
  t.same(lengthsOf('2026-10-24T22:00Z', '2026-10-26T23:00Z', 'day', 'Europe/Berlin'), [25, 24])
  t.same(startsOf('2026-03-01T00:00Z', '2026-03-01T01:00Z', 'day', 'Asia/Kathmandu'), ['2026-02-28T18:15Z'])
  // In Santiago midnight itself is skipped: the day begins at 01:00.
  t.same(lengthsOf('2026-09-05T04:00Z', '2026-09-08T03:00Z', 'day', 'America/Santiago'), [24, 23, 24])
})

t.test('an hour that the clock shows twice is two buckets, and one that it skips is none', async (t) => {
  t.equal(startsOf('2026-10-24T22:00Z', '2026-10-25T23:00Z', 'hour', 'Europe/Berlin').length, 25)
  t.equal(startsOf('2026-03-28T23:00Z', '2026-03-29T22:00Z', 'hour', 'Europe/Berlin').length, 23)
  t.same(startsOf('2026-03-01T00:00Z', '2026-03-01T02:00Z', 'hour', 'Asia/Kolkata'), [
    '2026-02-28T23:30Z',
    '2026-03-01T00:30Z',
    '2026-03-01T01:30Z',
  ])
  // Lord Howe goes back by half an hour at 15:00Z.
  t.same(startsOf('2026-04-04T14:00Z', '2026-04-04T17:00Z', 'hour', 'Australia/Lord_Howe'), [
    '2026-04-04T14:00Z',
    '2026-04-04T15:00Z',
    '2026-04-04T15:30Z',
    '2026-04-04T16:30Z',
  ])
})

t.test(
  'weeks start on Monday, months on their first day, and the first bucket may begin before the span',
  async (t) => {
    t.same(startsOf('2026-03-01T12:00Z', '2026-03-16T00:00Z', 'week', 'UTC'), [
      '2026-02-23T00:00Z',
      '2026-03-02T00:00Z',
      '2026-03-09T00:00Z',
    ])
    t.same(startsOf('2026-01-31T23:30Z', '2026-03-01T00:00Z', 'month', 'Europe/Paris'), [
      '2026-01-31T23:00Z',
      '2026-02-28T23:00Z',
    ])
    t.same(startsOf('2026-01-31T12:00Z', '2026-03-31T00:00Z', 'month', 'UTC'), [
      '2026-01-01T00:00Z',
      '2026-02-01T00:00Z',
      '2026-03-01T00:00Z',
    ])
  },
)

t.test('the previous span is the fewest whole intervals earlier that end before the span begins', async (t) => {
  const cases: [interval: Interval, timeZone: string, given: [string, string], expected: [string, string]][] = [
    ['day', 'UTC', ['2026-03-08T00:00Z', '2026-03-15T00:00Z'], ['2026-03-01T00:00Z', '2026-03-08T00:00Z']],
    ['day', 'UTC', ['2026-03-08T00:00Z', '2026-03-08T14:30Z'], ['2026-03-07T00:00Z', '2026-03-07T14:30Z']],
    ['month', 'UTC', ['2026-03-01T00:00Z', '2026-04-01T00:00Z'], ['2026-02-01T00:00Z', '2026-03-01T00:00Z']],
    ['month', 'UTC', ['2026-01-01T00:00Z', '2026-04-01T00:00Z'], ['2025-10-01T00:00Z', '2026-01-01T00:00Z']],
    ['month', 'UTC', ['2026-03-01T00:00Z', '2026-03-31T00:00Z'], ['2026-02-01T00:00Z', '2026-02-28T00:00Z']],
    ['hour', 'UTC', ['2026-03-01T05:20Z', '2026-03-01T08:10Z'], ['2026-03-01T02:20Z', '2026-03-01T05:10Z']],
    ['minute', 'UTC', ['2026-03-01T05:20Z', '2026-03-01T05:25Z'], ['2026-03-01T05:15Z', '2026-03-01T05:20Z']],
    ['week', 'UTC', ['2026-03-02T00:00Z', '2026-03-16T00:00Z'], ['2026-02-16T00:00Z', '2026-03-02T00:00Z']],
    // The day of 23 hours is compared with the whole day before it.
    ['day', 'Europe/Berlin', ['2026-03-28T23:00Z', '2026-03-29T22:00Z'], ['2026-03-27T23:00Z', '2026-03-28T23:00Z']],
    ['day', 'Europe/Berlin', ['2026-10-24T22:00Z', '2026-10-25T23:00Z'], ['2026-10-23T22:00Z', '2026-10-24T22:00Z']],
  ]
  for (const [interval, timeZone, [from, to], [previousFrom, previousTo]] of cases) {
    t.same(
      previousSpan(span(from, to), interval, timeZone),
      span(previousFrom, previousTo),
      `${interval} ${from} ${to}`,
    )
  }
})

t.test('the runs give every instant of the span the number of the bucket that it lies in', async (t) => {
  const random = seededRandom(7)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
  const timeZones = [
    'UTC',
    'Europe/Berlin',
    'Australia/Lord_Howe',
    'Asia/Kathmandu',
    'America/Santiago',
    'Pacific/Apia',
  ]
  for (let round = 0; round < 300; round++) {
    const [interval, timeZone] = [pick(INTERVALS), pick(timeZones)]
    const fromMs =
      Date.UTC(2010 + Math.floor(random() * 18), Math.floor(random() * 12)) + Math.floor(random() * 40 * 24 * HOUR_MS)
    const given = { fromMs, toMs: fromMs + 1 + Math.floor(random() * (interval === 'minute' ? 1 : 24 * 200) * HOUR_MS) }
    const starts = bucketStarts(given, interval, timeZone)
    const runs = toRuns(starts, given, 1000)
    const instants = Array.from({ length: 50 }, () => given.fromMs + Math.floor(random() * (given.toMs - given.fromMs)))
    const edges = starts.flatMap((start) => [start - 1, start]).filter((ms) => ms >= given.fromMs && ms < given.toMs)
    for (const ms of [...instants, ...edges.slice(0, 400), given.fromMs, given.toMs - 1]) {
      const run = runs.findLast(({ startMs }) => startMs <= ms)
      const number = run ? run.first + Math.floor((ms - run.startMs) / run.stepMs) : undefined
      const expected = 1000 + starts.findLastIndex((start) => start <= ms)
      if (number !== expected) t.equal(number, expected, `${interval} ${timeZone} ${new Date(ms).toISOString()}`)
    }
    if (starts.some((start, at) => at > 0 && start <= (starts[at - 1] ?? 0)))
      t.fail(`starts go back: ${interval} ${timeZone}`)
  }
  const year = span('2026-01-01T00:00Z', '2027-01-01T00:00Z')
  t.equal(toRuns(bucketStarts(year, 'day', 'UTC'), year, 0).length, 1)
  const berlin = span('2025-12-31T23:00Z', '2026-12-31T23:00Z')
  t.equal(toRuns(bucketStarts(berlin, 'day', 'Europe/Berlin'), berlin, 0).length, 5)
  t.equal(toRuns(bucketStarts(year, 'hour', 'Europe/Berlin'), year, 0).length, 1)
  t.equal(bucketStarts({ fromMs: 90_500, toMs: 180_001 }, 'minute', 'UTC').length * MINUTE_MS, 3 * MINUTE_MS)
})
