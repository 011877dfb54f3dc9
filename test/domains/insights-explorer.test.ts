import t from 'tap'
import { newEvent, someGeo, someSource, type TestEvent } from '../helpers/insights.ts'
import { openRoutes } from '../helpers/insights-routes.ts'

const DAY_MS = 86_400_000

t.test('pages of the explorer hold every event once, newest first, while new ones arrive', async (t) => {
  const { insert, insertElsewhere, get } = await openRoutes(t)
  const now = Date.now()
  // Ties in the time, two names with the same message id, and events from hours to years ago.
  const ages = [0, 0, 0, 0, 1, 1, 2, 20, 40, 40, 40, 400, 900].map((days) => now - days * DAY_MS - 5000)
  const events = ages.map((ms, index) =>
    newEvent({ timestamp: new Date(ms).toISOString(), messageId: `m${index % 12}`, event: index === 12 ? 'Z' : 'A' }),
  )
  const twin = { ...(events[0] as TestEvent), event: 'B' }
  await insert([...events, twin])
  await insertElsewhere(events)
  for (const limit of [1, 2, 3, 5, 20]) {
    const seen: TestEvent[] = []
    let cursor: string | null = null
    do {
      const page = await get('events', { limit, ...(cursor ? { cursor } : {}), to: '2099-01-01' })
      t.equal(page.status, 200)
      seen.push(...page.body.data)
      cursor = page.body.nextCursor
      await insert([newEvent({ timestamp: new Date(now + limit * 1000 + seen.length).toISOString(), event: 'Later' })])
    } while (cursor)
    const keys = seen
      .filter(({ event }) => event !== 'Later')
      .map(({ timestamp, messageId, event }) => `${timestamp} ${messageId} ${event}`)
    const expected = [...events, twin].map(({ timestamp, messageId, event }) => `${timestamp} ${messageId} ${event}`)
    t.same(keys, expected.sort().reverse(), `limit ${limit}`)
  }
})

t.test('the explorer shows full events and finds them by every filter', async (t) => {
  const { insert, insertElsewhere, get } = await openRoutes(t)
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
    sentAt: '2026-03-01T10:02:31.400Z',
    clockSkewMs: 150_000,
    ip: '91.12.34.0',
    geo: { country: 'DE', region: 'Hamburg', city: 'Hamburg' },
    device: { type: 'desktop', browser: 'Chrome', browserVersion: '126', os: 'Windows', osVersion: '10' },
    source: someSource({ channel: 'email', utmSource: 'news' }),
    isBot: true,
    botSignals: 'userAgent+headers',
  })
  const bare = newEvent({ messageId: 'bare', anonymousId: 'device', timestamp: '2026-03-02T10:00:00.000Z' })
  await insert([full, bare])
  await insertElsewhere([full, bare])
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
  const withFilter = (field: string, value: unknown) =>
    find({ filters: JSON.stringify([{ field, operator: 'eq', value }]) })
  t.same(await withFilter('geo.city', 'Hamburg'), ['full'])
  t.same(await withFilter('isBot', false), ['bare'])
  t.same(await find({ userId: `x' OR 1=1 --` }), [])
})

t.test('the explorer orders, pages and searches by the corrected time, across the ends of days', async (t) => {
  const { insert, insertElsewhere, get } = await openRoutes(t)
  const DAY = 86_400_000
  // Clocks that are a day ahead or behind, so that the senders' own order is not the true one, nor their days the true days.
  const skews = [DAY, -DAY, 0, 61_000, -61_000, 5 * 3_600_000, -DAY, DAY]
  const start = Date.parse('2026-03-01T23:59:59.990Z')
  const events = skews.map((clockSkewMs, index) =>
    newEvent({ messageId: `m${index}`, clockSkewMs, timestamp: new Date(start + 5 * index).toISOString() }),
  )
  await insert(events)
  await insertElsewhere(events)
  const newestFirst = events.map(({ messageId }) => messageId).reverse()
  for (const limit of [1, 3, 20]) {
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page = await get('events', { limit, ...(cursor ? { cursor } : {}) })
      seen.push(...page.body.data.map((event: TestEvent) => event.messageId))
      cursor = page.body.nextCursor
    } while (cursor)
    t.same(seen, newestFirst, `limit ${limit}`)
  }
  const find = async (query: Record<string, string>) =>
    (await get('events', query)).body.data.map((event: TestEvent) => event.messageId)
  t.same(await find({ from: '2026-03-02' }), newestFirst.slice(0, 6))
  t.same(await find({ to: '2026-03-02' }), newestFirst.slice(6))
  t.same(await find({ from: '2026-03-02', to: '2026-03-02T00:00:00.001Z' }), ['m2'])
  const filters = JSON.stringify([{ field: 'timestamp', operator: 'gte', value: '2026-03-02T00:00:00.020Z' }])
  t.same(await find({ filters }), ['m7', 'm6'])
  const names = await get('schema/events', { from: 0 })
  t.match(names.body.data, [{ firstSeen: events[0]?.timestamp, lastSeen: events.at(-1)?.timestamp }])
})

t.test('a cursor that was changed, or belongs to another search, is refused', async (t) => {
  const { insert, get } = await openRoutes(t)
  await insert(Array.from({ length: 5 }, () => newEvent({ timestamp: new Date().toISOString() })))
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
  const { insert, insertElsewhere, get } = await openRoutes(t)
  const today = (event: string, properties: Record<string, unknown>, context = {}) =>
    newEvent({ timestamp: new Date(Date.now() - 60_000).toISOString(), event, properties, context, userId: 'ada' })
  await insert([
    today(
      'Order',
      { total: 5, plan: 'pro', 'a.b': true, nested: { x: { y: { z: { deep: 1 } } } } },
      { page: { url: 'https://x.y/a"b' } },
    ),
    {
      ...today('Order', { total: 'five', plan: null, empty: {}, list: [1] }),
      geo: someGeo({ country: 'FR' }),
      isBot: true,
    },
    today('View', { plan: 'pro', '': 1 }),
    newEvent({ timestamp: '2020-01-01T00:00:00.000Z', event: 'Ancient' }),
  ])
  await insertElsewhere([today('Secret', { secret: 'theirs' }), today('Order', { total: 7, secret: 'theirs' })])

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
    { field: 'isBot', count: 3, types: [{ type: 'boolean', count: 3 }] },
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
    { field: 'geo.country', ...one('string') },
    { field: 'properties.a\\.b', ...one('boolean') },
    { field: 'properties.list', ...one('array') },
    { field: 'properties.nested.x.y.z', ...one('object') },
  ])
  t.match((await get('schema/properties', { event: 'View' })).body, {
    sampled: 1,
    data: [
      { field: 'isBot', count: 1 },
      { field: 'properties.plan', count: 1 },
    ],
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
  t.same(await values({ field: 'geo.country' }), [{ value: 'FR', count: 1 }])
  t.same(await values({ field: 'geo.country', search: 'de' }), [])
  t.same(await values({ field: 'isBot' }), [
    { value: false, count: 2 },
    { value: true, count: 1 },
  ])
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
