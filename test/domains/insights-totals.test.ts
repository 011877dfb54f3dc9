import t from 'tap'
import { createInsightsService } from '../../src/domains/insights/index.ts'
import type { MathName, TrendQuery } from '../../src/domains/insights/schemas.ts'
import { planTrend } from '../../src/domains/insights/trend.ts'
import { Problem } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import { openEventStore, type TestEvent } from '../helpers/insights.ts'

const DAY: TrendQuery = {
  kind: 'trend',
  from: '2026-03-01',
  to: '2026-03-03',
  interval: 'day',
  series: [{ math: 'count' }],
}
const scope = () => ({ organizationId: newId('org'), projectId: newId('prj') })

t.test(
  'the copy of an event that was received first decides, also about the time, whatever part it lies in',
  async (t) => {
    const { clickhouse, insert, stopMerges } = await openEventStore(t)
    const insights = createInsightsService({ clickhouse, completeThrough: async () => new Date() })
    await stopMerges()
    const [mine, theirs] = [scope(), scope()]
    const copy = (hour: number, receivedHour: number, total: number): Partial<TestEvent> => ({
      messageId: 'same',
      timestamp: `2026-03-01T${hour}:00:00.000Z`,
      receivedAt: `2026-03-02T${receivedHour}:00:00.000Z`,
      properties: { total },
    })
    // One copy per part. The first received is in the middle part and not the newest row.
    for (const event of [copy(14, 12, 1), copy(10, 11, 2), copy(18, 13, 4)]) await insert(mine, [event])
    await insert(theirs, [copy(14, 1, 100)])

    const sum = async (from: string, to: string) => {
      const query: TrendQuery = { ...DAY, from, to, series: [{ math: 'sum', property: 'total' }] }
      return (await insights.trend(mine, query)).data[0]?.total
    }
    t.equal(await sum('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z'), 2)
    t.equal(await sum('2026-03-01T09:00:00Z', '2026-03-01T11:00:00Z'), 2)
    t.equal(await sum('2026-03-01T12:00:00Z', '2026-03-02T00:00:00Z'), 0)
    t.equal(await sum('2026-03-01T00:00:00Z', '2026-03-01T10:00:00Z'), 0)

    const count = async (filter: { field: string; operator: 'gt' | 'eq'; value: unknown }) =>
      (await insights.trend(mine, { ...DAY, series: [{ math: 'count', filters: [filter] }] })).data[0]?.total
    t.equal(await count({ field: 'timestamp', operator: 'gt', value: '2026-03-01T12:00:00Z' }), 0)
    t.equal(await count({ field: 'receivedAt', operator: 'gt', value: '2026-03-02T11:30:00Z' }), 0)
    t.equal(await count({ field: 'properties.total', operator: 'gt', value: 2 }), 0)
    t.equal(await count({ field: 'properties.total', operator: 'eq', value: 2 }), 1)

    const { data } = await insights.events(mine, { from: '2026-03-01T12:00:00Z', limit: 10 })
    t.same(data, [])
  },
)

t.test('totals are of the events and not of the points', async (t) => {
  const { clickhouse, insert } = await openEventStore(t)
  const insights = createInsightsService({ clickhouse, completeThrough: async () => new Date() })
  const [mine, theirs] = [scope(), scope()]
  const event = (day: number, userId: string, total: number) => ({
    timestamp: `2026-03-0${day}T10:00:00.000Z`,
    userId,
    properties: { total },
  })
  await insert(mine, [event(1, 'ada', 1), event(1, 'bob', 2), event(1, 'bob', 6), event(2, 'ada', 10)])
  await insert(theirs, [event(1, 'eve', 1000)])
  const ask = async (math: MathName) => {
    const property = math === 'uniqueUsers' ? {} : { property: 'total' }
    const [entry] = (await insights.trend(mine, { ...DAY, series: [{ math, ...property }] })).data
    return [entry?.points.map(({ value }) => value), entry?.total]
  }
  t.same(await ask('uniqueUsers'), [[2, 1], 2])
  t.same(await ask('avg'), [[3, 10], 4.75])
  t.same(await ask('p50'), [[2, 10], 4])
  t.same(await ask('max'), [[6, 10], 10])
})

t.test('a bucket without events is 0 or null, as its math has it', async (t) => {
  const { clickhouse } = await openEventStore(t)
  const insights = createInsightsService({ clickhouse, completeThrough: async () => new Date('2026-03-09T00:00:00Z') })
  const math: MathName[] = ['count', 'uniqueUsers', 'sum', 'avg', 'min', 'max', 'p50']
  const series = math.map((math) => ({
    math,
    ...(math === 'count' || math === 'uniqueUsers' ? {} : { property: 'total' }),
  }))
  const answer = await insights.trend(scope(), { ...DAY, compare: 'previous', series })
  for (const { series, total, previousTotal, points, previous } of answer.data) {
    const empty = series < 3 ? 0 : null
    t.same(
      [total, previousTotal, points[0]?.value, points[1]?.value, previous?.[1]?.value],
      Array(5).fill(empty),
      math[series] ?? '',
    )
  }
  t.equal(answer.data.length, math.length)
  t.equal(answer.meta.completeThrough, '2026-03-09T00:00:00.000Z')
  const broken = await insights.trend(scope(), { ...DAY, breakdown: ['event'] })
  t.same([broken.data, broken.groups], [[], [{ series: 0, shown: 0, total: 0 }]])
})

t.test('the time up to which an answer is complete is read before the events are', async (t) => {
  const order: string[] = []
  const insights = createInsightsService({
    clickhouse: {
      query: async () => {
        order.push('events')
        return { rows: [], stats: { elapsedMs: 1, rowsRead: 2 } }
      },
    },
    completeThrough: async () => {
      order.push('completeThrough')
      return new Date()
    },
  })
  const { meta } = await insights.trend(scope(), DAY)
  t.same(order, ['completeThrough', 'events'])
  t.match(meta, { elapsedMs: 1, rowsRead: 2, cached: false })
})

t.test('a query that cannot be answered is refused with the path of every faulty field', async (t) => {
  const manyMinutes = { from: '2026-03-01', to: '2026-03-05', interval: 'minute' } as const
  const cases: [query: Partial<TrendQuery>, paths: string[], message: RegExp][] = [
    [{ from: '2026-03-03' }, ['/to'], /after from/],
    [{ from: '2026-03-01T00:00:00+25:00' }, ['/from'], /not a date that exists/],
    [{ from: '2020-01-01', interval: 'month' }, ['/from'], /at most 1830 days/],
    [{ to: '2126-01-01' }, ['/to', '/from'], /between 1970 and 2100/],
    [{ from: '2026-02-01', interval: 'minute' }, ['/interval'], /at most 7 days/],
    [{ from: '2024-02-01', interval: 'hour' }, ['/interval'], /at most 366 days/],
    [{ timeZone: 'Mars/Olympus' }, ['/timeZone'], /IANA/],
    [{ timeZone: '+02:00' }, ['/timeZone'], /IANA/],
    [{ timeZone: `UTC') OR 1=1 --` }, ['/timeZone'], /IANA/],
    [{ series: [{ math: 'sum' }] }, ['/series/0/property'], /required for sum/],
    [{ series: [{ math: 'count', property: 'total' }] }, ['/series/0/property'], /absent for count/],
    [{ series: [{ math: 'sum', property: 'a..b' }] }, ['/series/0/property'], /empty part/],
    [{ breakdown: ['event', 'country'] }, ['/breakdown/1'], /is not a field/],
    [{ breakdown: ['timestamp'] }, ['/breakdown/0'], /is a time/],
    [
      { breakdown: ['event'], limit: 200, ...manyMinutes },
      ['/limit'],
      /1152000 points, of at most 20000; lower the limit/,
    ],
    [{ series: Array(4).fill({ math: 'count' }), ...manyMinutes }, ['/interval'], /23040 points/],
    [
      {
        timeZone: 'x',
        series: [{ math: 'count', filters: [{ field: 'x', operator: 'eq', value: 1 }] }, { math: 'p50' }],
      },
      ['/series/0/filters/0/field', '/series/1/property', '/timeZone'],
      /is not a field/,
    ],
  ]
  for (const [change, paths, message] of cases) {
    try {
      planTrend({ ...DAY, ...change } as TrendQuery)
      t.fail(`was not refused: ${JSON.stringify(change)}`)
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      t.match(error, { status: 400, code: 'request.invalid', message })
      t.same(
        error.errors?.map(({ path }) => path),
        paths,
        JSON.stringify(change).slice(0, 200),
      )
    }
  }
})
