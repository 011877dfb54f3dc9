import { gzipSync } from 'node:zlib'
import t from 'tap'
import { authorized, startTestApp } from '../helpers/app.ts'
import { storedCount, storedEvents } from '../helpers/sdk.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)

const STRUCTURED = 'application/cloudevents+json; charset=utf-8'
const BATCHED = 'application/cloudevents-batch+json'

const send = (key: string, contentType: string, body: unknown, url = '/v1/events') =>
  app.inject(
    authorized(key, { method: 'POST', url, headers: { 'content-type': contentType }, payload: JSON.stringify(body) }),
  )

const cloudEvent = (id: string, more: Record<string, unknown> = {}) => ({
  specversion: '1.0',
  id,
  source: '/api/chat',
  type: 'tokens',
  subject: 'user-17',
  time: '2026-01-02T03:04:05.678Z',
  ...more,
})

t.test('a structured event and a batch are stored with all that they said, in their own project only', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const one = cloudEvent('a', { data: { total: 1250 }, dataschema: 'urn:s', traceparent: '00-1' })
  t.match((await send(alpha.writeKey, STRUCTURED, one)).json(), { accepted: 1, duplicates: 0, rejected: 0 })
  const batch = [
    cloudEvent('b', { data: [1, 2] }),
    cloudEvent('c', { data_base64: 'AQI=', datacontenttype: 'application/octet-stream' }),
    cloudEvent('d', { subject: undefined, data: 'text' }),
  ]
  const answer = await send(alpha.writeKey, BATCHED, batch)
  t.equal(answer.statusCode, 202, answer.body)
  t.equal(answer.json().accepted, 3)
  t.match(await storedCount(app, alpha.projectId, 4), [
    {
      message_id: '/api/chat a',
      event: 'tokens',
      type: 'track',
      user_id: 'user-17',
      timestamp: '2026-01-02 03:04:05.678',
      properties: { total: 1250 },
      context: { source: '/api/chat', dataschema: 'urn:s', traceparent: '00-1' },
    },
    { message_id: '/api/chat b', properties: { value: [1, 2] } },
    { properties: { data_base64: 'AQI=' }, context: { datacontenttype: 'application/octet-stream' } },
    { user_id: '', properties: { value: 'text' } },
  ])
  t.same(await storedEvents(app, beta.projectId), [])
})

t.test('an event is known by its source and its id, in whichever way it comes', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const long = 'https://example.com/'.padEnd(300, 'x')
  const first = cloudEvent('1', { data: { n: 1 } })
  const counts = async (key: string, contentType: string, body: unknown) => {
    const { accepted, duplicates } = (await send(key, contentType, body)).json()
    return [accepted, duplicates]
  }
  t.same(await counts(alpha.writeKey, STRUCTURED, first), [1, 0])
  t.same(await counts(alpha.writeKey, STRUCTURED, first), [0, 1])
  t.same(await counts(alpha.writeKey, BATCHED, [first, first]), [0, 2])
  t.equal((await send(alpha.writeKey, BATCHED, [first], '/api/v1/events')).statusCode, 204)
  t.same(await counts(alpha.writeKey, STRUCTURED, cloudEvent('1', { source: '/other' })), [1, 0])
  t.same(await counts(alpha.writeKey, STRUCTURED, cloudEvent('1', { source: long })), [1, 0])
  t.same(await counts(alpha.writeKey, STRUCTURED, cloudEvent('1', { source: long })), [0, 1])
  t.same(await counts(alpha.writeKey, STRUCTURED, cloudEvent('x y', { source: 'a' })), [1, 0])
  t.same(await counts(alpha.writeKey, STRUCTURED, cloudEvent('y', { source: 'a x' })), [1, 0])
  t.same(await counts(beta.writeKey, STRUCTURED, first), [1, 0])
  t.equal((await storedCount(app, alpha.projectId, 5)).length, 5)
  t.equal((await storedCount(app, beta.projectId, 1)).length, 1)
})

t.test('one event that is no CloudEvent does not cost the others', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const bad = [
    cloudEvent('2', { specversion: '0.3' }),
    cloudEvent('', {}),
    cloudEvent('3', { source: undefined }),
    cloudEvent('4', { type: 17 }),
    'text',
    cloudEvent('5', { time: 'yesterday' }),
  ]
  const answer = (await send(alpha.writeKey, BATCHED, [...bad, cloudEvent('1')])).json()
  t.match(answer, { accepted: 1, rejected: bad.length })
  t.same(
    answer.results.slice(0, bad.length).map(({ code }: { code: string }) => code),
    bad.map(() => 'events.invalid'),
  )
  t.equal((await storedCount(app, alpha.projectId, 1)).length, 1)
  t.equal((await send(alpha.writeKey, BATCHED, bad)).statusCode, 422)
  t.equal((await send(alpha.writeKey, BATCHED, [])).statusCode, 400)
  t.equal((await send(alpha.writeKey, STRUCTURED, 'text')).statusCode, 400)
})

t.test("OpenMeter's address takes a batch, and says no more than that it is done", async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const contentType of [BATCHED, 'application/json']) {
    const answer = await send(alpha.writeKey, contentType, [cloudEvent(contentType)], '/api/v1/events')
    t.same([answer.statusCode, answer.body], [204, ''])
  }
  t.equal((await storedCount(app, alpha.projectId, 2)).length, 2)
  t.same(await storedEvents(app, beta.projectId), [])
  const refused = await send(`${alpha.writeKey}x`, BATCHED, [cloudEvent('z')], '/api/v1/events')
  t.equal(refused.statusCode, 401)
  const inBody = { ...cloudEvent('z'), writeKey: alpha.writeKey }
  t.equal((await app.inject({ method: 'POST', url: '/api/v1/events', payload: inBody })).statusCode, 401)
})

/** An event in binary mode: its attributes in headers, its data as the body. */
const binary = (
  key: string,
  attributes: Record<string, string>,
  data: Buffer,
  contentType?: string,
  url = '/v1/events',
) =>
  app.inject(
    authorized(key, {
      method: 'POST',
      url,
      headers: {
        ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value])),
        ...(contentType ? { 'content-type': contentType } : {}),
      },
      payload: data,
    }),
  )

const ATTRIBUTES = { specversion: '1.0', id: 'b', source: '/api/chat', type: 'tokens', subject: 'user-17' }
const TIME = { time: '2026-01-02T03:04:05.678Z' }
const JSON_DATA = Buffer.from('{"total":1250}')

t.test('an event in binary mode is stored with all that it said, in its own project only', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const send = async (attributes: Record<string, string>, data: Buffer, contentType?: string, status = 202) => {
    const answer = await binary(alpha.writeKey, { ...ATTRIBUTES, ...attributes }, data, contentType)
    t.equal(answer.statusCode, status, answer.body)
  }
  await send({ ...TIME, tenant: 'x' }, JSON_DATA, 'application/json; charset=utf-8')
  await send({ id: 'c', subject: '"a%20b%C3%A9 100%25"' }, Buffer.from('text'), 'text/plain')
  await send({ id: 'd', subject: '100%' }, Buffer.from([1, 2]), 'application/octet-stream')
  await send({ id: 'e', subject: Buffer.from('é').toString('latin1') }, gzipSync('[1]'), 'application/vnd.x+json', 400)
  await send({ id: 'f', subject: Buffer.from('é').toString('latin1') }, Buffer.from('[1]'), 'application/vnd.x+json')
  await send({ id: 'g' }, Buffer.alloc(0))
  t.match(await storedCount(app, alpha.projectId, 5), [
    {
      message_id: '/api/chat b',
      event: 'tokens',
      user_id: 'user-17',
      timestamp: '2026-01-02 03:04:05.678',
      properties: { total: 1250 },
      context: { source: '/api/chat', tenant: 'x', datacontenttype: undefined },
    },
    { user_id: 'a bé 100%', properties: { value: 'text' }, context: { datacontenttype: 'text/plain' } },
    { user_id: '100%', properties: { data_base64: 'AQI=' } },
    { message_id: '/api/chat f', user_id: 'é', properties: { value: [1] } },
    { message_id: '/api/chat g', properties: {} },
  ])
  t.same(await storedEvents(app, beta.projectId), [])
})

t.test('one event in two modes and at two addresses is one event, compressed or not', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const [{ writeKey, projectId }, first] of [
    [alpha, 'binary'],
    [beta, 'structured'],
  ] as const) {
    const attributes = { ...ATTRIBUTES, ...TIME }
    const ways = [
      () => binary(writeKey, attributes, JSON_DATA, 'application/json'),
      () => send(writeKey, STRUCTURED, { ...attributes, data: { total: 1250 } }),
      () => binary(writeKey, attributes, JSON_DATA, 'application/json', '/api/v1/events'),
      () =>
        app.inject(
          authorized(writeKey, {
            method: 'POST',
            url: '/v1/events',
            headers: {
              ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value])),
              'content-type': 'application/json',
              'content-encoding': 'gzip',
            },
            payload: gzipSync(JSON_DATA),
          }),
        ),
    ]
    for (const way of first === 'binary' ? ways : ways.toReversed()) {
      const answer = await way()
      t.ok(answer.statusCode === 202 || answer.statusCode === 204, answer.body)
      t.notMatch(answer.body, /conflict/)
    }
    t.equal((await storedCount(app, projectId, 1)).length, 1)
  }
})

t.test('binary mode opens nothing: a key, a size and the attributes are asked for as elsewhere', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const status = async (...args: Parameters<typeof binary>) => (await binary(...args)).statusCode
  t.equal(await status('nonsense', ATTRIBUTES, JSON_DATA, 'application/json'), 401)
  t.equal(await status(alpha.writeKey, { specversion: '1.0' }, JSON_DATA, 'application/json'), 422)
  t.equal(await status(alpha.writeKey, { ...ATTRIBUTES, specversion: '0.3' }, JSON_DATA, 'application/json'), 422)
  t.equal(await status(alpha.writeKey, ATTRIBUTES, Buffer.from('{'), 'application/json'), 400)
  t.equal(await status(alpha.writeKey, ATTRIBUTES, Buffer.alloc(11 * 1024 * 1024), 'application/octet-stream'), 413)
  t.equal(await status(alpha.writeKey, {}, JSON_DATA, 'application/octet-stream'), 415, 'no CloudEvent')
  const structured = { ...ATTRIBUTES, id: 'own' }
  const answer = await binary(
    alpha.writeKey,
    { ...ATTRIBUTES, id: 'header' },
    Buffer.from(JSON.stringify(structured)),
    STRUCTURED,
  )
  t.match(answer.json().results, [{ messageId: '/api/chat own' }], 'an event in the body speaks for itself')
})
