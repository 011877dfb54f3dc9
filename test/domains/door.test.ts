import t from 'tap'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { storedEvents } from '../helpers/quarantine.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)

const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'

const call = async (tenant: TestTenant, method: 'GET' | 'POST' | 'PUT' | 'PATCH', path: string, payload?: object) => {
  const url = `/v1/projects/${tenant.projectId}${path}`
  const answer = await app.inject(authorized(tenant.apiKey, { method, url, ...(payload ? { payload } : {}) }))
  if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${answer.body}`)
  return answer.body === '' ? undefined : answer.json()
}
const send = (tenant: TestTenant, payload: object, headers: Record<string, string> = {}) =>
  app.inject(authorized(tenant.writeKey, { method: 'POST', url: '/v1/events', payload, headers }))

const eventOf = (tenant: TestTenant, name: string) =>
  eventually(`the event ${name}`, async () => {
    const { data } = await call(tenant, 'GET', `/events?event=${encodeURIComponent(name)}`)
    return data.length > 0 ? data[0] : undefined
  })

t.test(
  'an event from a browser is stored with device and source, and with its place when its context names an address',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    await call(beta, 'PATCH', '', { ipPolicy: 'drop' })
    const page = { url: 'https://shop.example/?utm_source=news&utm_medium=email', referrer: '' }
    const event = { event: 'Viewed', properties: { total: 1 }, context: { ip: '8.8.8.8', page, note: 'größer' } }
    const headers = { 'user-agent': SAFARI, 'accept-language': 'de', origin: 'https://shop.example' }
    for (const tenant of [alpha, beta]) t.equal((await send(tenant, event, headers)).statusCode, 202)

    t.match(await eventOf(alpha, 'Viewed'), {
      geo: { country: 'US' },
      device: { browser: 'Safari', os: 'iOS', type: 'mobile' },
      source: { channel: 'email', utmSource: 'news' },
      isBot: false,
      ip: '8.8.8.0',
      context: { ip: '8.8.8.0', note: 'größer' },
    })
    const dropped = await eventOf(beta, 'Viewed')
    t.match(dropped, { geo: { country: 'US' }, ip: null, context: { note: 'größer' } })
    t.notOk(JSON.stringify(dropped).includes('8.8.8'), 'a project that drops addresses keeps none')
  },
)

t.test(
  'a server that sends for its users is not taken for one of them, and a wrong clock is corrected when it is read',
  async (t) => {
    const [alpha] = await createTwoTenants(app)
    const aheadMs = 3_600_000
    const [timestamp, sentAt] = [Date.now() + aheadMs - 5000, Date.now() + aheadMs].map((ms) =>
      new Date(ms).toISOString(),
    )
    await send(alpha, { batch: [{ event: 'Relayed', timestamp }], sentAt }, { 'user-agent': 'node' })
    const stored = await eventOf(alpha, 'Relayed')
    t.match(stored, { geo: null, device: null, sentAt })
    t.ok(Math.abs(Date.parse(stored.timestamp) - (Date.now() - 5000)) < 60_000, `${stored.timestamp} is about now`)
  },
)

const schema = {
  type: 'object',
  properties: { properties: { type: 'object', required: ['total'], properties: { total: { type: 'number' } } } },
}
const good = { event: 'Order', properties: { total: 12 } }
const bad = (messageId: string) => ({ event: 'Order', messageId, properties: { total: 'twelve', note: 'größer' } })

const plan = async (tenant: TestTenant, mode: string, unplannedEvents = 'allow') => {
  await call(tenant, 'PUT', '/tracking-plan/events/Order', { schema })
  await call(tenant, 'PATCH', '/tracking-plan', { mode, unplannedEvents })
}

t.test('each mode of a tracking plan does to a broken event what it says, and to no other tenant', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const result = async (tenant: TestTenant, event: object) => {
    const answer = await send(tenant, [good, event])
    return { status: answer.statusCode, ...answer.json().results?.[1] }
  }
  await plan(alpha, 'observe')
  t.match(await result(alpha, bad('m-1')), { status: 'accepted' })
  await plan(alpha, 'warn')
  t.match(await result(alpha, bad('m-2')), {
    status: 'accepted',
    code: 'plan.violation',
    message: /^\/properties\/total: /,
  })
  await plan(alpha, 'quarantine')
  t.match(await result(alpha, bad('m-3')), { status: 'quarantined', code: 'plan.violation' })
  t.match(await result(alpha, bad('m-3')), { status: 'duplicate' }, 'a retry is recognized')
  await plan(alpha, 'reject')
  t.match(await result(alpha, bad('m-4')), { status: 'rejected', code: 'plan.violation' })
  t.equal((await send(alpha, bad('m-5'))).statusCode, 422, 'alone, too')
  await plan(alpha, 'reject', 'reject')
  t.match(await result(alpha, { event: 'Odrer', messageId: 'm-6' }), { status: 'rejected', code: 'plan.unplanned' })
  t.match(await result(beta, bad('m-4')), { status: 'accepted' }, 'another tenant has no such plan')

  const seen = await eventually('what was taken', async () => {
    const ids = (await storedEvents(app, alpha)).map(({ message_id }) => message_id).filter((id) => id.startsWith('m-'))
    return ids.length >= 2 ? ids : undefined
  })
  t.same(seen, ['m-1', 'm-2'])
  await eventually('the counts', async () => {
    const { data } = await call(alpha, 'GET', '/ingestion')
    const today = data.at(-1)
    return today.quarantined === 1 && today.rejected['plan.violation'] === 2 && today.rejected['plan.unplanned'] === 1
  })
})

t.test('what waits in quarantine is replayed once the plan lets it pass, with what it said', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await plan(alpha, 'quarantine')
  for (const tenant of [alpha, beta]) await send(tenant, bad('q-1'))
  const receiptOf = async (tenant: TestTenant) =>
    (await app.inject(authorized(tenant.apiKey, { url: '/v1/events/q-1/receipt' }))).json().status
  t.equal(await receiptOf(alpha), 'quarantined')
  await eventually('the item', async () => (await call(alpha, 'GET', '/quarantine')).data.length === 1)

  const filter = { filter: { event: 'Order' } }
  t.match(await call(alpha, 'POST', '/quarantine/replay', { ...filter, dryRun: true }), { failing: 1, replayed: 0 })
  t.match(await call(alpha, 'POST', '/quarantine/replay', { ...filter, dryRun: false }), { failing: 1, replayed: 0 })
  const mapping = { set: { '/properties/total': 12 } }
  t.match(await call(alpha, 'POST', '/quarantine/replay', { ...filter, mapping, dryRun: false }), { replayed: 1 })
  t.match(await eventOf(alpha, 'Order'), { messageId: 'q-1', properties: { total: 12, note: 'größer' } })
  t.equal(await receiptOf(alpha), 'stored')
  t.same((await call(beta, 'GET', '/quarantine')).data, [], 'the other tenant had nothing to repair')

  const { results } = (await send(alpha, { event: 'Order', properties: { total: 'nameless' } })).json()
  await eventually('the nameless item', async () => (await call(alpha, 'GET', '/quarantine')).data.length === 2)
  t.match(await call(alpha, 'POST', '/quarantine/replay', { ...filter, mapping, dryRun: false }), { replayed: 1 })
  await eventually('the nameless event', async () =>
    (await storedEvents(app, alpha)).some(({ message_id }) => message_id === results[0].messageId),
  )
})

t.test('history that is imported takes its own lane and ends in the same store', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const payload = { batch: [{ type: 'track', event: 'Imported', userId: 'u', timestamp: '2024-05-01T10:00:00Z' }] }
  const answer = await app.inject(authorized(alpha.writeKey, { method: 'POST', url: '/v1/import', payload }))
  t.equal(answer.statusCode, 200)
  const stored = await eventually('the import', async () => {
    const events = await storedEvents(app, alpha)
    return events.length > 0 ? events : undefined
  })
  t.match(stored, [{ event: 'Imported', timestampMs: Date.parse('2024-05-01T10:00:00Z') }])
  await eventually('the lane', async () => (await app.ingestRedis.keys('*:import:cursor')).length > 0)
})

t.test(
  'copies within one request are one event: the first stands, and it is what later copies are held against',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const one = { event: 'Twice', messageId: 'twice', properties: { total: 1 } }
    const other = { ...one, properties: { total: 2 } }
    const statuses = async (tenant: TestTenant, payload: object) =>
      (await send(tenant, payload))
        .json()
        .results.map(({ status, code }: { status: string; code?: string }) => [status, code ?? ''].join(' ').trim())
    t.same(await statuses(alpha, [one, one, other, { event: 'Once', messageId: 'once' }]), [
      'accepted',
      'duplicate',
      'duplicate events.conflict',
      'accepted',
    ])
    t.same(await statuses(alpha, [one]), ['duplicate'])
    t.same(await statuses(alpha, [other]), ['duplicate events.conflict'])
    t.same(
      await statuses(beta, [other, one]),
      ['accepted', 'duplicate events.conflict'],
      'the other tenant has its own',
    )
    t.match(await eventOf(alpha, 'Twice'), { properties: { total: 1 } })
  },
)
