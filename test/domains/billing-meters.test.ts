import { Type } from '@sinclair/typebox'
import t from 'tap'
import { createAuditService } from '../../src/domains/audit/index.ts'
import { createMetersService } from '../../src/domains/billing/index.ts'
import { newId } from '../../src/ids.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { storeCopies } from '../helpers/naive-meter.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const meters = createMetersService(app)
const DAY_MS = 86_400_000
const today = Math.floor(Date.now() / DAY_MS) * DAY_MS

function call(tenant: TestTenant, method: 'GET' | 'POST', path: string, payload?: object) {
  const url = `/v1/organizations/${tenant.organizationId}/${path}`
  return app.inject(authorized(sessionOf(app, tenant.userId), { method, url, ...(payload && { payload }) }))
}

const acting = ({ userId }: TestTenant) => ({
  principal: { kind: 'session', userId, sessionId: newId('ses'), expiresAtMs: Date.now() + 60_000 } as const,
  ip: '192.0.2.1',
  userAgent: 'test',
})

const store = ({ organizationId, projectId }: TestTenant, properties: object[], project = projectId) =>
  storeCopies(
    app,
    properties.map((one, index) => ({
      organizationId,
      projectId: project,
      event: 'Called',
      messageId: String(index),
      timestampMs: today + index,
      receivedMs: today + index + 1,
      properties: JSON.stringify(one),
    })),
  )

const CALLS = { name: 'Bytes', aggregation: 'sum', property: 'bytes', events: ['Called'] }

t.test('a meter is made, changed by versions that stay, and belongs to one organization', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const made = await call(alpha, 'POST', 'meters', { key: 'bytes', ...CALLS, unit: 'byte' })
  t.equal(made.statusCode, 201)
  t.match(made.json(), { key: 'bytes', version: 1, builtIn: false, unit: 'byte', property: 'bytes', filters: [] })
  const filters = [{ field: 'properties.region', operator: 'eq', value: 'eu' }]
  const changed = await call(alpha, 'POST', 'meters/bytes/versions', { baseVersion: 1, ...CALLS, filters })
  t.equal(changed.statusCode, 201)
  t.match(changed.json(), { version: 2, filters, unit: null })
  t.match((await call(alpha, 'GET', 'meters/bytes')).json(), { version: 2 })
  t.match((await call(alpha, 'GET', 'meters/bytes?version=1')).json(), { version: 1, filters: [], unit: 'byte' })
  t.match((await call(alpha, 'GET', 'meters')).json(), {
    data: [
      { key: 'events', builtIn: true },
      { key: 'bytes', version: 2 },
    ],
  })
  t.match((await call(beta, 'GET', 'meters')).json().data.length, 1)
  const [foreign, absent] = [await call(beta, 'GET', 'meters/bytes'), await call(beta, 'GET', 'meters/nothing')]
  t.equal(foreign.statusCode, 404)
  t.equal(foreign.json().detail, absent.json().detail)
  t.match((await call(alpha, 'GET', 'meters/events?version=2')).json(), {
    status: 404,
    code: 'billing.meter_not_found',
  })

  const { data } = await createAuditService(app).list({ organizationId: alpha.organizationId }, { limit: 10 })
  t.match(data, [
    { action: 'meter.changed', target: { kind: 'meter', id: 'bytes' }, before: { version: 1 }, after: { version: 2 } },
    { action: 'meter.created', target: { kind: 'meter', id: 'bytes' }, after: { version: 1 } },
  ])
})

t.test('of two changes at once one is refused, and neither overwrites a version', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await call(alpha, 'POST', 'meters', { key: 'bytes', ...CALLS })
  t.match((await call(alpha, 'POST', 'meters', { key: 'bytes', ...CALLS })).json(), { code: 'billing.meter_exists' })
  t.match((await call(alpha, 'POST', 'meters', { key: 'events', ...CALLS })).json(), { code: 'billing.meter_exists' })
  const { organizationId } = alpha
  const add = (name: string) =>
    meters.addVersion(organizationId, 'bytes', { baseVersion: 1, name, aggregation: 'count' }, acting(alpha))
  const results = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => add(`Change ${index}`)))
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const result of results)
    if (result.status === 'rejected') t.match(result.reason, { code: 'billing.meter_changed' })
  t.match(await call(alpha, 'POST', 'meters/events/versions', { baseVersion: 1, ...CALLS }), { statusCode: 409 })
  t.match(await call(alpha, 'POST', 'meters/bytes/versions', { baseVersion: 7, ...CALLS }), { statusCode: 409 })
  t.match(await call(alpha, 'POST', 'meters/none/versions', { baseVersion: 1, ...CALLS }), { statusCode: 404 })
  t.equal((await meters.readMeter(organizationId, 'bytes', { at: new Date() })).version, 2)
  await t.rejects(meters.readMeter(organizationId, 'bytes', { at: new Date(today - DAY_MS) }), {
    code: 'billing.meter_not_found',
  })
})

t.test('an organization has a hundred meters at the most', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const make = ({ organizationId, ...tenant }: TestTenant, index: number) =>
    meters.createMeter(
      organizationId,
      { key: `m${index}`, name: 'M', aggregation: 'count' },
      acting(tenant as TestTenant),
    )
  for (let index = 0; index < 100; index++) await make(alpha, index)
  await t.rejects(make(alpha, 100), { code: 'billing.too_many_meters' })
  await make(beta, 0)
})

t.test('every fault of a definition is named', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const faulty = {
    name: 'Faulty',
    aggregation: 'sum',
    groupBy: ['nothing'],
    filters: [{ field: 'x', operator: 'isSet' }],
  }
  for (const [path, body] of [
    ['meters', { key: 'faulty', ...faulty }],
    ['meters/preview', faulty],
  ] as const) {
    const { statusCode, ...answer } = await call(alpha, 'POST', path, body)
    t.equal(statusCode, 400)
    t.same(
      answer.json().errors.map((fault: { path: string }) => fault.path),
      ['/property', '/filters/0/field', '/groupBy/0'],
    )
  }
  t.match(await call(alpha, 'POST', 'meters', { key: 'Upper', ...CALLS }), { statusCode: 400 })
  t.match(await call(alpha, 'POST', 'meters', { key: 'a', ...CALLS, version: 7 }), { statusCode: 400 })
})

t.test('what is billed is exact, of all projects of one organization, and by the version that is named', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const second = newId('prj')
  await store(alpha, [{ bytes: 0.1 }, { bytes: 0.2 }, { bytes: '7' }, { bytes: null }, {}])
  await store(alpha, [{ bytes: 1e15 }, { bytes: -0.3 }], second)
  await store(beta, [{ bytes: 5 }])
  for (const tenant of [alpha, beta]) await call(tenant, 'POST', 'meters', { key: 'bytes', ...CALLS })
  const [from, to] = [new Date(today), new Date(today + DAY_MS)]
  const { organizationId } = alpha
  t.hasStrict(await meters.usage(organizationId, { meterKey: 'bytes', from, to }), {
    value: '1000000000000000',
    quantity: 10n ** 15n,
    rowCount: 4n,
    skipped: 3n,
    meterVersion: 1,
  })
  t.hasStrict(await meters.usage(organizationId, { meterKey: 'bytes', from, to, projectId: second }), {
    value: '999999999999999.7',
    quantity: 10n ** 15n,
  })
  t.match(await meters.usage(organizationId, { meterKey: 'events', from, to }), { quantity: 7n, meterVersion: 1 })
  t.hasStrict(await meters.usage(beta.organizationId, { meterKey: 'bytes', from, to }), { value: '5' })
  t.hasStrict(await meters.usage(beta.organizationId, { meterKey: 'bytes', from, to, projectId: second }), {
    value: '0',
  })
  await call(alpha, 'POST', 'meters/bytes/versions', {
    baseVersion: 1,
    name: 'Most',
    aggregation: 'max',
    property: 'bytes',
  })
  t.hasStrict(await meters.usage(organizationId, { meterKey: 'bytes', from, to, projectId: alpha.projectId }), {
    value: '0.2',
    meterVersion: 2,
  })
  t.match(await meters.usage(organizationId, { meterKey: 'bytes', meterVersion: 1, from, to }), {
    meterVersion: 1,
    rowCount: 4n,
  })
  await t.rejects(meters.usage(organizationId, { meterKey: 'bytes', meterVersion: 9, from, to }), {
    code: 'billing.meter_not_found',
  })
})

t.test('a definition is tried on the last days and leaves nothing behind', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await store(alpha, [{ bytes: 2 }, { bytes: 'x' }, { bytes: 1.5 }])
  const answer = await call(alpha, 'POST', 'meters/preview', { ...CALLS, days: 2 })
  t.same(answer.json(), {
    data: [{ day: new Date(today).toISOString().slice(0, 10), value: '3.5', events: '2', skipped: '1' }],
    total: { value: '3.5', events: '2', skipped: '1' },
  })
  t.same((await call(beta, 'POST', 'meters/preview', CALLS)).json(), {
    data: [],
    total: { value: '0', events: '0', skipped: '0' },
  })
  t.equal((await meters.listMeters(alpha.organizationId)).length, 1)
})

t.test('a statement that forgets its organization is never sent', async (t) => {
  const statement = { sql: 'SELECT 1 AS one', schema: Type.Object({ one: Type.Integer() }) }
  await t.rejects(app.clickhouse.queryOrganization('org', statement), /lacks the scope/)
})
