import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { inferSchema, type SampledEvent } from '../../src/domains/tracking-plans/infer.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const PEOPLE = 12

/** Orders of a shop: required and optional fields, null, lists, a map by number, and what must not be repeated. */
const orders = Array.from({ length: 120 }, (_, index) => ({
  event: 'Order Completed',
  messageId: `order-${index}`,
  userId: `user-${index % PEOPLE}`,
  properties: {
    total: index % 3 === 0 ? 50 : 49.9,
    quantity: index,
    currency: index % 2 === 0 ? 'EUR' : 'USD',
    email: `person-${index}@example.com`,
    secret: `secret-of-${index % PEOPLE}`,
    coupon: index % 4 === 0 ? null : 'SUMMER',
    ...(index % 2 === 0 ? { gift: true } : {}),
    lines: [{ sku: `sku-${index}`, price: 1.5 }],
    stock: { [`${10_000 + index}`]: index },
  },
  traits: { plan: 'pro' },
  context: { locale: 'de-DE' },
}))
const signUps = Array.from({ length: 30 }, (_, index) => ({
  event: 'Signed / Up',
  messageId: `up-${index}`,
  userId: `user-${index % PEOPLE}`,
  properties: { method: index % 2 === 0 ? 'email' : 7 },
}))

async function store(app: FastifyInstance, tenant: TestTenant, events: object[]) {
  const request = { method: 'POST', url: '/v1/events', payload: { batch: events } } as const
  const answer = await app.inject(authorized(tenant.writeKey, request))
  t.equal(answer.statusCode, 202, answer.body)
  await eventually('the events', async () => {
    const { body } = await app.inject(
      authorized(tenant.apiKey, { url: `/v1/projects/${tenant.projectId}/schema/events` }),
    )
    const counts = (JSON.parse(body).data as { count: number }[]).map(({ count }) => count)
    return counts.reduce((sum, count) => sum + count, 0) === events.length
  })
}

t.test('what is inferred from traffic', async (t) => {
  const { app } = await startTestApp(t)
  const [alpha, beta] = await createTwoTenants(app)
  await store(app, alpha, [...orders, ...signUps])
  await store(app, beta, [{ event: 'Theirs', properties: { other: 1 } }])
  const ask = (method: 'GET' | 'POST' | 'PUT', path: string, payload?: object) =>
    app.inject(
      authorized(sessionOf(app, alpha.userId), {
        method,
        url: `/v1/projects/${alpha.projectId}/tracking-plan${path}`,
        ...(payload ? { payload } : {}),
      }),
    )
  const check = async (events: object[]) => (await ask('POST', '/check', { events })).json().data

  await t.test('is a proposal for every name, and publishes nothing', async (t) => {
    const answer = await ask('POST', '/infer')
    t.equal(answer.statusCode, 200, answer.body)
    const { data, complete } = answer.json()
    t.same(
      data.map(({ event, sampled }: { event: string; sampled: number }) => [event, sampled]),
      [
        ['Order Completed', 120],
        ['Signed / Up', 30],
      ],
    )
    t.equal(complete, true)
    t.notMatch(answer.body, 'Theirs')
    t.match((await ask('GET', '')).json(), { version: 0, events: [] })
    const few = (await ask('POST', '/infer?limit=1&sampleSize=10')).json()
    t.match(few, { data: [{ event: 'Order Completed', sampled: 10 }], complete: false })
    t.same(
      (await ask('POST', '/infer?event=Theirs')).json().data,
      [],
      "another organization's events are not looked at",
    )
    t.same((await ask('POST', '/infer?from=2020-01-01&to=2020-02-01')).json().data, [])
    t.equal((await ask('POST', '/infer?from=2026-02-30')).statusCode, 400)
  })

  await t.test('says of each field how often it is there and of which types it is', async (t) => {
    const { data } = (await ask('POST', '/infer?event=Order%20Completed')).json()
    const fields = Object.fromEntries(data[0].fields.map((field: { path: string }) => [field.path, field]))
    t.match(fields, {
      '/properties/total': { presence: 1, types: { integer: 40, number: 80 } },
      '/properties/gift': { presence: 0.5, types: { boolean: 60 } },
      '/properties/coupon': { presence: 1, types: { null: 30, string: 90 }, values: ['SUMMER'] },
      '/properties/currency': { values: ['EUR', 'USD'] },
      '/properties/email': { format: 'email' },
      '/properties/lines/*/price': { presence: 1, types: { number: 120 } },
      '/properties/stock/*': { types: { integer: 120 } },
      '/context/locale': { types: { string: 120 } },
    })
    t.match(data[0].schema.properties.properties, {
      required: ['coupon', 'currency', 'email', 'lines', 'quantity', 'secret', 'stock', 'total'],
      properties: {
        total: { type: 'number' },
        quantity: { type: 'integer' },
        coupon: { type: ['null', 'string'], enum: ['SUMMER', null] },
        stock: { type: 'object', additionalProperties: { type: 'integer' } },
      },
    })
    t.equal(data[0].schema.properties.context, undefined, 'what SDKs add is left open')
  })

  await t.test('names no value that only a few people share, and no name that is data', async (t) => {
    const { body } = await ask('POST', '/infer')
    for (const told of ['person-', 'secret-of', 'sku-', 'user-', '10001', 'order-']) t.notMatch(body, told)
  })

  await t.test('lets the same traffic pass, and finds a type that has changed', async (t) => {
    for (const { event, schema } of (await ask('POST', '/infer')).json().data) {
      const published = await ask('PUT', `/events/${encodeURIComponent(event)}`, { schema })
      t.equal(published.statusCode, 200, published.body)
    }
    for (let from = 0; from < orders.length; from += 50) {
      for (const verdict of await check([...orders, ...signUps].slice(from, from + 50)))
        t.match(verdict, { action: 'accept' })
    }
    const [order] = orders
    if (!order) return
    const { properties } = order
    const changed = [
      { ...order, properties: { ...properties, total: '49.90' } },
      { ...order, properties: { ...properties, gift: 'yes' } },
      { ...order, properties: { ...properties, lines: [{ sku: 1, price: 1 }] } },
      { ...order, properties: { ...properties, currency: undefined } },
    ]
    t.match(await check(changed), [
      { index: 0, action: 'observe', violations: [{ path: '/properties/total', keyword: 'type' }] },
      { index: 1, violations: [{ path: '/properties/gift', keyword: 'type' }] },
      { index: 2, violations: [{ path: '/properties/lines/0/sku', keyword: 'type' }] },
      { index: 3, violations: [{ path: '/properties/currency', keyword: 'required' }] },
    ])
  })
})

t.test('values are named only when they are few and each is shared by at least five people', async (t) => {
  const valuesOf = (texts: string[], personOf: (index: number) => string) => {
    const events = texts.map(
      (text, index): SampledEvent => ({ properties: { text }, traits: {}, context: {}, person: personOf(index) }),
    )
    return inferSchema(events).fields.find(({ path }) => path === '/properties/text')?.values
  }
  const repeated = (count: number, ...texts: string[]) =>
    Array.from({ length: count }, (_, index) => texts[index % texts.length] ?? '')
  const byTurns = (people: number, each: number) => (index: number) => `p${Math.floor(index / each) % people}`
  t.same(valuesOf(repeated(100, 'a', 'b'), byTurns(5, 2)), ['a', 'b'])
  t.equal(valuesOf(repeated(100, 'a', 'b'), byTurns(4, 2)), undefined, 'four people')
  t.equal(
    valuesOf(repeated(100, 'a', 'b'), () => ''),
    undefined,
    'nobody knows who',
  )
  t.equal(
    valuesOf(repeated(100, 'a', ...Array.from({ length: 12 }, (_, index) => `${index}`)), byTurns(9, 1)),
    undefined,
    'many values',
  )
  t.equal(valuesOf(repeated(19, 'a', 'b'), byTurns(9, 1)), undefined, 'few events')
  t.equal(valuesOf([...repeated(100, 'a'), 'Ana'], byTurns(9, 1)), undefined, 'one value of one person')
  t.equal(valuesOf(repeated(100, 'x'.repeat(41)), byTurns(9, 1)), undefined, 'a long text')
})

t.test('what is too large to describe is described to a lesser depth', async (t) => {
  const wide = (depth: number): Record<string, unknown> =>
    Object.fromEntries(
      Array.from({ length: depth === 0 ? 1 : 8 }, (_, index) => [`f${index}`, depth === 0 ? 1 : wide(depth - 1)]),
    )
  const { schema, fields } = inferSchema([{ properties: wide(3), traits: {}, context: {}, person: '' }])
  t.ok(fields.length > 8 && fields.length < 300, `${fields.length}`)
  t.match(schema, { properties: { properties: { properties: { f0: { type: 'object' } } } } })
  const keys = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`f${index}`, index]))
  const map = inferSchema([{ properties: { keys }, traits: {}, context: {}, person: '' }])
  t.match(map.schema, {
    properties: { properties: { properties: { keys: { additionalProperties: { type: 'integer' } } } } },
  })
  t.equal(map.fields.length, 2)
})
