import t from 'tap'
import { EventNamesAnswer, PropertiesAnswer, ValuesAnswer } from '../../src/domains/insights/catalog-schemas.ts'
import { EventsAnswer } from '../../src/domains/insights/explorer-schemas.ts'
import { TrendAnswer, TrendQuery, UsageAnswer } from '../../src/domains/insights/schemas.ts'
import { validatorCompiler } from '../../src/http/validation.ts'
import { newEvent } from '../helpers/insights.ts'
import { COMPLETE_THROUGH, openRoutes } from '../helpers/insights-routes.ts'

const TREND = { kind: 'trend', from: '2026-03-01', to: '2026-03-03', interval: 'day', series: [{ math: 'count' }] }

t.test('a trend answers in the shape of the contract', async (t) => {
  const { insert, insertElsewhere, ask } = await openRoutes(t)
  const order = (timestamp: string, total: number, country?: string) => ({
    timestamp,
    properties: { total },
    context: { country },
  })
  await insert([order('2026-03-01T10:00:00.000Z', 2.5, 'DE'), order('2026-03-02T10:00:00.000Z', 4, 'DE')])
  await insert([order('2026-02-28T10:00:00.000Z', 1, 'DE'), order('2026-03-02T23:59:59.999Z', 3)])
  await insertElsewhere([order('2026-03-01T10:00:00.000Z', 1000, 'XX')])
  const answer = await ask({
    ...TREND,
    compare: 'previous',
    series: [{ math: 'sum', property: 'total' }],
    breakdown: ['context.country'],
  })
  t.equal(answer.status, 200)
  const { meta, ...rest } = answer.body
  t.same(rest, {
    data: [
      {
        series: 0,
        breakdown: { 'context.country': 'DE' },
        total: 6.5,
        points: [
          { time: '2026-03-01T00:00:00.000Z', value: 2.5 },
          { time: '2026-03-02T00:00:00.000Z', value: 4 },
        ],
        previous: [
          { time: '2026-02-27T00:00:00.000Z', value: 0 },
          { time: '2026-02-28T00:00:00.000Z', value: 1 },
        ],
        previousTotal: 1,
      },
      {
        series: 0,
        breakdown: { 'context.country': null },
        total: 3,
        points: [
          { time: '2026-03-01T00:00:00.000Z', value: 0 },
          { time: '2026-03-02T00:00:00.000Z', value: 3 },
        ],
        previous: [
          { time: '2026-02-27T00:00:00.000Z', value: 0 },
          { time: '2026-02-28T00:00:00.000Z', value: 0 },
        ],
        previousTotal: 0,
      },
    ],
    groups: [{ series: 0, shown: 2, total: 2 }],
  })
  t.match(meta, { elapsedMs: Number, rowsRead: 4, cached: false, completeThrough: COMPLETE_THROUGH })
})

t.test('a query that is not valid is a problem that names the faulty field', async (t) => {
  const { ask, get } = await openRoutes(t)
  const filters = [
    { field: 'event', operator: 'eq', value: 'x' },
    { field: 'properties.a', operator: 'in', value: 'x' },
  ]
  const cases: [query: unknown, path: string][] = [
    [{ kind: 'guess' }, '/kind'],
    [{ ...TREND, kind: undefined }, '/kind'],
    [{ ...TREND, series: [{ math: 'count', filters }] }, '/series/0/filters/1/value'],
    [{ ...TREND, series: [{ math: 'count', filter: filters }] }, '/series/0/filter'],
    [{ ...TREND, series: [{ math: 'median' }] }, '/series/0/math'],
    [{ ...TREND, series: [] }, '/series'],
    [{ ...TREND, interval: 'quarter' }, '/interval'],
    [{ ...TREND, compare: 'next' }, '/compare'],
    [{ ...TREND, limit: 0 }, '/limit'],
    [{ ...TREND, limit: '5' }, '/limit'],
    [{ ...TREND, from: undefined }, '/from'],
    [{ ...TREND, to: 'tomorrow' }, '/to'],
    [
      { ...TREND, series: [{ math: 'count', filters: [{ field: 'event', operator: 'is', value: 'x' }] }] },
      '/series/0/filters/0/operator',
    ],
  ]
  for (const [query, path] of cases) {
    const { status, body } = await ask(query)
    t.match(body, { status: 400, code: 'request.invalid' }, JSON.stringify(query))
    t.equal(status, 400)
    t.ok(
      body.errors.some((fault: { path: string }) => fault.path === path),
      `${JSON.stringify(body.errors)} names ${path}`,
    )
  }
  const badUrls: [path: string, query: Record<string, string>, fault: string][] = [
    ['usage', { interval: 'week' }, '/querystring/interval'],
    ['usage', { from: '2026-03-02', to: '2026-03-01' }, '/querystring/to'],
    ['usage', { from: '2024-03-02', to: '2026-03-01', interval: 'hour' }, '/querystring/interval'],
    ['events', { limit: '201' }, '/querystring/limit'],
    ['events', { filters: '[{' }, '/querystring/filters'],
    ['events', { filters: '{}' }, '/querystring/filters'],
    ['events', { filters: '[{"field":"x","operator":"isSet"}]' }, '/querystring/filters/0/field'],
    ['events', { filters: '[{"field":"event","operator":"eq","value":5}]' }, '/querystring/filters/0/value'],
    ['events', { filter: 'x' }, '/querystring/filter'],
    ['events', { cursor: 'bm9uc2Vuc2U' }, '/querystring/cursor'],
    ['schema/values', {}, '/querystring/field'],
    ['schema/values', { field: 'country' }, '/querystring/field'],
    ['schema/values', { field: 'timestamp' }, '/querystring/field'],
    ['schema/events', { from: '2026-03-02', to: '2026-03-01' }, '/querystring/to'],
  ]
  for (const [path, query, fault] of badUrls) {
    const { status, body } = await get(path, query)
    t.equal(status, 400, `${path} ${JSON.stringify(query)}`)
    t.equal(body.errors[0].path, fault, `${path} ${JSON.stringify(query)}`)
  }
})

t.test('usage counts every event once, in UTC, for its own project', async (t) => {
  const { insert, insertElsewhere, get } = await openRoutes(t)
  const at = (timestamp: string, messageId?: string) => newEvent({ timestamp, ...(messageId ? { messageId } : {}) })
  const copied = at('2026-03-01T23:59:59.999Z', 'copied')
  await insert([at('2026-02-28T23:00:00.000Z'), copied, at('2026-03-02T00:00:00.000Z')])
  await insert([copied, at('2026-03-04T00:00:00.000Z')])
  await insertElsewhere([copied, at('2026-03-02T00:00:00.000Z')])
  const { status, body } = await get('usage', { from: '2026-03-01', to: '2026-03-04', interval: 'day' })
  t.equal(status, 200)
  const { meta, ...rest } = body
  const day = (number: number, events: number) => ({
    time: `2026-03-0${number}T00:00:00.000Z`,
    events,
    billable: events,
  })
  t.same(rest, {
    data: [day(1, 1), day(2, 1), day(3, 0)],
    total: { events: 2, billable: 2 },
    completeThrough: COMPLETE_THROUGH,
  })
  t.equal(meta.completeThrough, COMPLETE_THROUGH)
  const months = await get('usage', { from: '2026-01-01', to: '2026-04-01', interval: 'month' })
  t.same(
    months.body.data.map((entry: { events: number }) => entry.events),
    [0, 1, 3],
  )
  const hours = await get('usage', {
    from: Date.parse('2026-03-01T22:30:00Z'),
    to: '2026-03-02T01:00:00Z',
    interval: 'hour',
  })
  t.same(
    hours.body.data.map((entry: { events: number }) => entry.events),
    [0, 1, 1],
  )
  t.equal((await get('usage')).body.data.length, 31)
})

t.test('names of properties are data: nothing in them reaches the statement', async (t) => {
  const { insert, insertElsewhere, ask, get } = await openRoutes(t)
  const evil = `x') OR 1=1 UNION ALL SELECT * FROM events -- {organizationId:String} \\' "`
  const event = newEvent({ timestamp: '2026-03-01T10:00:00.000Z', properties: { [evil]: 7, inner: { [evil]: 'v' } } })
  await insert([event])
  await insertElsewhere([event])
  const name = evil.replaceAll('\\', '\\\\').replaceAll('.', '\\.')
  const { status, body } = await ask({
    ...TREND,
    series: [{ math: 'sum', property: name, event: 'Tested' }],
    breakdown: [`properties.inner.${name}`],
  })
  t.equal(status, 200)
  t.match(body.data, [{ total: 7, breakdown: { [`properties.inner.${name}`]: 'v' } }])
  t.match((await ask({ ...TREND, series: [{ math: 'count', event: evil }] })).body.data, [{ total: 0 }])
  t.match((await get('schema/values', { field: `properties.${name}`, from: 0 })).body.data, [{ value: 7, count: 1 }])
})

t.test('the examples of the documentation are valid', async (t) => {
  const schemas = {
    TrendQuery,
    TrendAnswer,
    UsageAnswer,
    EventsAnswer,
    EventNamesAnswer,
    PropertiesAnswer,
    ValuesAnswer,
  }
  for (const [name, schema] of Object.entries(schemas)) {
    const isValid = validatorCompiler({ schema, method: 'POST', url: '/', httpPart: 'body' })
    const examples: unknown[] = schema.examples
    t.ok(examples.length > 0, name)
    for (const example of examples) t.equal(isValid(structuredClone(example)), true, name)
  }
})
