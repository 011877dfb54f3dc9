import { sql } from 'drizzle-orm'
import t from 'tap'
import { createTouched } from '../../src/domains/billing/alerts/touched.ts'
import {
  createCatalogService,
  createMetersService,
  createSubscriptionsService,
  evaluateTouched,
  openAlerts,
  openInvoices,
} from '../../src/domains/billing/index.ts'
import { keptFromMs } from '../../src/domains/projects/index.ts'
import { createUsageHours } from '../../src/domains/usage/index.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { flatPlan } from '../helpers/plans.ts'
import { sessionOf } from '../helpers/principals.ts'
import { newBatch } from '../helpers/quota.ts'
import { createTenant, type TestTenant } from '../helpers/tenants.ts'

const { app, config } = await startTestApp(t, { METERHOUSE_SHARDS: '1' })
const catalog = createCatalogService(app)
const limits = { ...flatPlan.limits, events: { perPeriod: '10', mode: 'soft' as const } }
await catalog.createPlanVersion(
  { planKey: 'ten', baseVersion: 0, terms: { ...flatPlan, name: 'Ten', limits } },
  newId('usr'),
)
const [alpha, beta] = [
  await createTenant(app.postgres, 'owner', { planKey: 'ten' }),
  await createTenant(app.postgres, 'owner', { planKey: 'ten' }),
]

function call(
  tenant: TestTenant,
  path: string,
  request: { method?: 'GET' | 'POST' | 'DELETE'; payload?: object } = {},
) {
  const url = `/v1/organizations/${tenant.organizationId}${path}`
  return app.inject(authorized(sessionOf(app, tenant.userId), { url, ...request }))
}

/** The services as the process with the jobs has them. */
function openServices() {
  const subscriptions = createSubscriptionsService({ postgres: app.postgres, catalog, ...config.billing })
  const meters = createMetersService(app)
  const clock = () => new Date()
  const invoices = openInvoices({
    ...{ postgres: app.postgres, meters, plans: catalog, clock, ...config.invoices },
    storedThrough: async () => clock(),
    keptFromMs,
  })
  return openAlerts({
    ...{ postgres: app.postgres, redis: app.ingestRedis, shards: 1, subscriptions, meters, invoices, clock },
    eventHours: createUsageHours(app),
    windows: async () => [],
  })
}

t.test('events that are sent mark their organization, and are told by what the door has counted', async (t) => {
  const touched = createTouched(app.ingestRedis)
  const isMarked = async () => {
    const marked = (await touched.list()).map(([organizationId]) => organizationId)
    return [alpha, beta].every(({ organizationId }) => marked.includes(organizationId))
  }
  await eventually('the marks of the new subscriptions', isMarked)
  for (const [organizationId, revision] of await touched.list()) await touched.settle(organizationId, revision)
  for (const [tenant, count] of [
    [alpha, 9],
    [beta, 2],
  ] as const) {
    const { statusCode } = await app.inject(
      authorized(tenant.writeKey, { method: 'POST', url: '/v1/events', payload: newBatch(count) }),
    )
    t.equal(statusCode, 202)
  }
  await eventually('the summary of what was counted', async () => {
    const { meters } = (await call(alpha, '/usage/summary')).json()
    return meters[0].used === '9' && meters[0].percent === '90.00'
  })
  const fired = async (tenant: TestTenant) =>
    (await call(tenant, '/usage/alerts'))
      .json()
      .data.filter(({ fired }: { fired: unknown }) => fired)
      .map(({ kind, threshold }: { kind: string; threshold: string }) => `${kind} ${threshold}`)
  const { evaluate } = openServices()
  const log = { error: (fault: unknown) => t.fail(String(fault)) }
  await eventually('the thresholds', async () => {
    // Whether this round looks or the one of the application, it looks because of the mark.
    await evaluateTouched({ touched, evaluate, log })
    return (await fired(alpha)).length > 0
  })
  t.same(await fired(alpha), ['percent 50', 'percent 80', 'percent 90'])
  t.same(await fired(beta), [])
  t.same((await call(alpha, '/usage/summary')).json().meters[0].whole, { kind: 'limit', quantity: '10' })
})

t.test('alerts are made, listed and deleted with an entry in the audit log, and faults name the field', async (t) => {
  const made = await call(alpha, '/usage/alerts', { method: 'POST', payload: { kind: 'quantity', threshold: '123' } })
  t.equal(made.statusCode, 201, made.body)
  t.match(made.json(), {
    id: /^alt_/,
    kind: 'quantity',
    meter: 'events',
    threshold: /^123$/,
    builtIn: false,
    fired: null,
  })
  const listed = (await call(alpha, '/usage/alerts')).json().data
  t.equal(listed.length, 6)
  t.same(listed.at(-1), made.json())
  t.equal((await call(beta, '/usage/alerts')).json().data.length, 5)
  for (const [payload, path] of [
    [{ kind: 'quantity', threshold: '1', meter: 'nothing' }, '/meter'],
    [{ kind: 'spend', threshold: '1', meter: 'events' }, '/meter'],
    [{ kind: 'percent', threshold: '1001' }, '/threshold'],
    [{ kind: 'percent', threshold: '0' }, '/threshold'],
    [{ kind: 'other', threshold: '1' }, '/kind'],
  ] as const) {
    const answer = await call(alpha, '/usage/alerts', { method: 'POST', payload })
    t.equal(answer.statusCode, 400)
    t.equal(answer.json().errors[0].path, path, answer.body)
  }
  for (const payload of [
    { kind: 'quantity', threshold: '123' },
    { kind: 'percent', threshold: '80' },
  ])
    t.match((await call(alpha, '/usage/alerts', { method: 'POST', payload })).json(), { code: 'billing.alert_exists' })
  const path = `/usage/alerts/${made.json().id}`
  t.equal((await call(beta, path, { method: 'DELETE' })).statusCode, 404, 'not of another organization')
  t.equal((await call(alpha, path, { method: 'DELETE' })).statusCode, 204)
  t.equal((await call(alpha, path, { method: 'DELETE' })).statusCode, 404)
  const { rows } = await app.postgres.withSystem((tx) =>
    tx.execute<{ action: string }>(
      sql`select action from audit_entries where organization_id = ${alpha.organizationId} and action like 'usage_alert.%' order by sequence`,
    ),
  )
  t.same(
    rows.map(({ action }) => action),
    ['usage_alert.created', 'usage_alert.deleted'],
  )
})

t.test('an organization has fifty alerts at the most', async (t) => {
  await app.postgres.withTenant(beta.organizationId, (tx) =>
    tx.execute(sql`insert into usage_alerts (organization_id, id, meter_key, kind, threshold, created_by, created_at)
      select ${beta.organizationId}, 'alt_' || n, 'events', 'quantity', n, ${beta.userId}, now() from generate_series(1, 50) n`),
  )
  const answer = await call(beta, '/usage/alerts', { method: 'POST', payload: { kind: 'spend', threshold: '1' } })
  t.match(answer.json(), { code: 'billing.too_many_alerts' })
})

t.test(
  'spend is answered by period and by part, as JSON and as CSV, and not of a period that is not there',
  async (t) => {
    const { data } = (await call(alpha, '/spend')).json()
    t.match(data, [{ status: 'open', planKey: 'ten', isEstimate: true }])
    const parts = (await call(alpha, '/spend/parts?by=event')).json()
    t.hasStrict(parts, { periodId: data[0].periodId, data: [], total: '0' }, 'the plan prices no meter')
    for (const path of ['/spend/export', '/spend/parts/export?by=event']) {
      const csv = await call(alpha, path)
      t.match(csv.headers, { 'content-type': /^text\/csv/, 'content-disposition': 'attachment; filename="spend.csv"' })
    }
    t.equal((await call(alpha, '/spend/export')).body.split('\r\n').length, 3)
    for (const periodId of [newId('bpr'), (await call(beta, '/spend')).json().data[0].periodId])
      t.match((await call(alpha, `/spend/parts?periodId=${periodId}`)).json(), { code: 'billing.period_not_found' })
  },
)
