import fastify from 'fastify'
import t, { type Test } from 'tap'
import { EventNamesAnswer, PropertiesAnswer, ValuesAnswer } from '../../src/domains/insights/catalog-schemas.ts'
import { EventsAnswer } from '../../src/domains/insights/explorer-schemas.ts'
import insights from '../../src/domains/insights/index.ts'
import { TrendAnswer, TrendQuery, UsageAnswer } from '../../src/domains/insights/schemas.ts'
import problems from '../../src/http/problems.ts'
import { ProblemSchema } from '../../src/http/schemas.ts'
import { validatorCompiler } from '../../src/http/validation.ts'
import { newId } from '../../src/ids.ts'
import { newEvent, openEventStore, type TestEvent } from '../helpers/insights.ts'

const COMPLETE_THROUGH = '2026-03-10T00:00:00.000Z'
const DAY_MS = 86_400_000

/** The routes with a guard that lets two projects in and no database but the event store. */
async function openRoutes(t: Test) {
  const store = await openEventStore(t)
  const [mine, theirs] = [0, 1].map(() => ({ organizationId: newId('org'), projectId: newId('prj') }))
  if (!mine || !theirs) throw new Error('two scopes were made')
  const app = fastify()
  app.setValidatorCompiler(validatorCompiler)
  app.addSchema(ProblemSchema)
  app.decorate('clickhouse', store.clickhouse)
  app.decorateRequest('principal', null)
  app.decorateRequest('scope', null)
  app.addHook('onRequest', async (request) => {
    const { projectId } = request.params as { projectId: string }
    request.scope = [mine, theirs].find((scope) => scope.projectId === projectId) ?? null
  })
  await app.register(problems)
  await app.register(insights, { completeThrough: async () => new Date(COMPLETE_THROUGH) })
  t.teardown(() => app.close())

  const get = async (path: string, query: Record<string, string | number> = {}, { projectId } = mine) => {
    const text = Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]))
    const answer = await app.inject({ url: `/v1/projects/${projectId}/${path}`, query: text })
    return { status: answer.statusCode, body: answer.json(), text: answer.body }
  }
  const ask = async (payload: unknown) => {
    const answer = await app.inject({
      method: 'POST',
      url: `/v1/projects/${mine.projectId}/query`,
      payload: payload as object,
    })
    return { status: answer.statusCode, body: answer.json() }
  }
  return { ...store, mine, theirs, get, ask }
}

const TREND = { kind: 'trend', from: '2026-03-01', to: '2026-03-03', interval: 'day', series: [{ math: 'count' }] }

t.test('a trend answers in the shape of the contract', async (t) => {
  const { insert, mine, theirs, ask } = await openRoutes(t)
  const order = (timestamp: string, total: number, country?: string) => ({
    timestamp,
    properties: { total },
    context: { country },
  })
  await insert(mine, [order('2026-03-01T10:00:00.000Z', 2.5, 'DE'), order('2026-03-02T10:00:00.000Z', 4, 'DE')])
  await insert(mine, [order('2026-02-28T10:00:00.000Z', 1, 'DE'), order('2026-03-02T23:59:59.999Z', 3)])
  await insert(theirs, [order('2026-03-01T10:00:00.000Z', 1000, 'XX')])
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
  const { insert, mine, theirs, get } = await openRoutes(t)
  const at = (timestamp: string, messageId?: string) => newEvent({ timestamp, ...(messageId ? { messageId } : {}) })
  const copied = at('2026-03-01T23:59:59.999Z', 'copied')
  await insert(mine, [at('2026-02-28T23:00:00.000Z'), copied, at('2026-03-02T00:00:00.000Z')])
  await insert(mine, [copied, at('2026-03-04T00:00:00.000Z')])
  await insert(theirs, [copied, at('2026-03-02T00:00:00.000Z')])
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

t.test('pages of the explorer hold every event once, newest first, while new ones arrive', async (t) => {
  const { insert, mine, theirs, get } = await openRoutes(t)
  const now = Date.now()
  // Ties in the time, two names with the same message id, and events from hours to years ago.
  const ages = [0, 0, 0, 0, 1, 1, 2, 20, 40, 40, 40, 400, 900].map((days) => now - days * DAY_MS - 5000)
  const events = ages.map((ms, index) =>
    newEvent({ timestamp: new Date(ms).toISOString(), messageId: `m${index % 12}`, event: index === 12 ? 'Z' : 'A' }),
  )
  const twin = { ...(events[0] as TestEvent), event: 'B' }
  await insert(mine, [...events, twin])
  await insert(theirs, events)
  for (const limit of [1, 2, 3, 5, 20]) {
    const seen: TestEvent[] = []
    let cursor: string | null = null
    do {
      const page = await get('events', { limit, ...(cursor ? { cursor } : {}), to: '2099-01-01' })
      t.equal(page.status, 200)
      seen.push(...page.body.data)
      cursor = page.body.nextCursor
      await insert(mine, [
        newEvent({ timestamp: new Date(now + limit * 1000 + seen.length).toISOString(), event: 'Later' }),
      ])
    } while (cursor)
    const keys = seen
      .filter(({ event }) => event !== 'Later')
      .map(({ timestamp, messageId, event }) => `${timestamp} ${messageId} ${event}`)
    const expected = [...events, twin].map(({ timestamp, messageId, event }) => `${timestamp} ${messageId} ${event}`)
    t.same(keys, expected.sort().reverse(), `limit ${limit}`)
  }
})

t.test('the explorer shows full events and finds them by every filter', async (t) => {
  const { insert, mine, theirs, get } = await openRoutes(t)
  const full = newEvent({
    messageId: 'full',
    event: 'Order Completed',
    type: 'page',
    userId: 'ada',
    anonymousId: 'device',
    groupId: 'acme',
    timestamp: '2026-03-01T10:00:00.123Z',
    receivedAt: '2026-03-01T10:00:01.456Z',
    properties: { total: 49.9, list: [1, { deep: null }], text: 'é😀"\\', big: 1e300 },
    traits: { plan: 'pro' },
    context: { page: { url: 'https://x.y' } },
  })
  const bare = newEvent({ messageId: 'bare', anonymousId: 'device', timestamp: '2026-03-02T10:00:00.000Z' })
  await insert(mine, [full, bare])
  await insert(theirs, [full, bare])
  const find = async (query: Record<string, string>) =>
    (await get('events', query)).body.data.map((event: TestEvent) => event.messageId)
  t.same((await get('events', {})).body.data, [bare, full])
  t.same(await find({ event: 'Order Completed' }), ['full'])
  t.same(await find({ userId: 'ada' }), ['full'])
  t.same(await find({ anonymousId: 'device' }), ['bare', 'full'])
  t.same(await find({ distinctId: 'device' }), ['bare'])
  t.same(await find({ messageId: 'bare' }), ['bare'])
  t.same(await find({ from: '2026-03-02' }), ['bare'])
  t.same(await find({ to: '2026-03-02T10:00:00Z' }), ['full'])
  t.same(await find({ filters: '[{"field":"properties.total","operator":"gt","value":40}]' }), ['full'])
  t.same(await find({ userId: `x' OR 1=1 --` }), [])
})

t.test('a cursor that was changed, or belongs to another search, is refused', async (t) => {
  const { insert, mine, get } = await openRoutes(t)
  await insert(
    mine,
    Array.from({ length: 5 }, () => newEvent({ timestamp: new Date().toISOString() })),
  )
  const cursor: string = (await get('events', { limit: 2 })).body.nextCursor
  t.equal((await get('events', { limit: 3, cursor })).body.data.length, 3)
  for (const at of [0, 10, 30, cursor.length - 1]) {
    const tampered = `${cursor.slice(0, at)}${cursor[at] === 'A' ? 'B' : 'A'}${cursor.slice(at + 1)}`
    t.match(await get('events', { cursor: tampered }), {
      status: 400,
      body: { errors: [{ path: '/querystring/cursor' }] },
    })
  }
  t.equal((await get('events', { cursor, event: 'Tested' })).status, 400)
  t.equal((await get('events', { cursor: `${cursor}=` })).status, 400)
})

t.test('the catalog lists names, fields and values of one project, most frequent first', async (t) => {
  const { insert, mine, theirs, get } = await openRoutes(t)
  const today = (event: string, properties: Record<string, unknown>, context = {}) =>
    newEvent({ timestamp: new Date(Date.now() - 60_000).toISOString(), event, properties, context, userId: 'ada' })
  await insert(mine, [
    today(
      'Order',
      { total: 5, plan: 'pro', 'a.b': true, nested: { x: { y: { z: { deep: 1 } } } } },
      { page: { url: 'https://x.y/a"b' } },
    ),
    today('Order', { total: 'five', plan: null, empty: {}, list: [1] }),
    today('View', { plan: 'pro', '': 1 }),
    newEvent({ timestamp: '2020-01-01T00:00:00.000Z', event: 'Ancient' }),
  ])
  await insert(theirs, [today('Secret', { secret: 'theirs' }), today('Order', { total: 7, secret: 'theirs' })])

  const names = await get('schema/events')
  t.match(names.body.data, [
    { event: 'Order', count: 2 },
    { event: 'View', count: 1 },
  ])
  t.equal(names.body.data.length, 2)
  t.same((await get('schema/events', { from: 0 })).body.data.length, 3)
  t.same(
    (await get('schema/events', { search: 'vIE' })).body.data.map((entry: { event: string }) => entry.event),
    ['View'],
  )

  const fields = await get('schema/properties')
  const one = (type: string) => ({ count: 1, types: [{ type, count: 1 }] })
  t.equal(fields.body.sampled, 3)
  t.same(fields.body.data, [
    {
      field: 'properties.plan',
      count: 2,
      types: [
        { type: 'string', count: 2 },
        { type: 'null', count: 1 },
      ],
    },
    {
      field: 'properties.total',
      count: 2,
      types: [
        { type: 'number', count: 1 },
        { type: 'string', count: 1 },
      ],
    },
    { field: 'context.page.url', ...one('string') },
    { field: 'properties.a\\.b', ...one('boolean') },
    { field: 'properties.list', ...one('array') },
    { field: 'properties.nested.x.y.z', ...one('object') },
  ])
  t.match((await get('schema/properties', { event: 'View' })).body, {
    sampled: 1,
    data: [{ field: 'properties.plan', count: 1 }],
  })

  const values = async (query: Record<string, string | number>) => (await get('schema/values', query)).body.data
  t.same(await values({ field: 'properties.plan' }), [{ value: 'pro', count: 2 }])
  t.same(await values({ field: 'properties.total' }), [
    { value: 'five', count: 1 },
    { value: 5, count: 1 },
  ])
  t.same(await values({ field: 'properties.a\\.b' }), [{ value: true, count: 1 }])
  t.same(await values({ field: 'properties.list' }), [{ value: '[1]', count: 1 }])
  t.same(await values({ field: 'event', limit: 1 }), [{ value: 'Order', count: 2 }])
  t.same(await values({ field: 'context.page.url', search: 'A"B' }), [{ value: 'https://x.y/a"b', count: 1 }])
  t.same(await values({ field: 'distinctId', event: 'View' }), [{ value: 'ada', count: 1 }])
  for (const path of [
    'schema/events',
    'schema/properties',
    'schema/values?field=properties.secret',
    'events',
    'usage',
  ]) {
    const answer = await get(path)
    t.equal(answer.status, 200)
    t.notMatch(answer.text, /secret|theirs/i, path)
  }
})

t.test('names of properties are data: nothing in them reaches the statement', async (t) => {
  const { insert, mine, theirs, ask, get } = await openRoutes(t)
  const evil = `x') OR 1=1 UNION ALL SELECT * FROM events -- {organizationId:String} \\' "`
  const event = newEvent({ timestamp: '2026-03-01T10:00:00.000Z', properties: { [evil]: 7, inner: { [evil]: 'v' } } })
  await insert(mine, [event])
  await insert(theirs, [event])
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
