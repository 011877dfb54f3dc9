import { sql } from 'drizzle-orm'
import t from 'tap'
import { createAuditService } from '../../src/domains/audit/index.ts'
import type { PlanTerms } from '../../src/domains/billing/catalog/schemas.ts'
import { termsFaults } from '../../src/domains/billing/catalog/terms.ts'
import { createCatalogService } from '../../src/domains/billing/index.ts'
import { priceOf } from '../../src/domains/billing/pricing/price-of.ts'
import { newId } from '../../src/ids.ts'
import { startTestApp } from '../helpers/app.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const catalog = createCatalogService(app)
const operator = newId('usr')

const TERMS: PlanTerms = {
  name: 'Team',
  description: '',
  currency: 'EUR',
  interval: 'year',
  basePrice: '99000',
  metered: [{ meter: 'events', price: { model: 'package', packageSize: '1000', packageAmount: '10' } }],
  trialDays: 0,
  limits: {
    events: { perPeriod: '1000', mode: 'hold' },
    projects: null,
    members: null,
    retentionDays: null,
    eventsPerSecond: null,
  },
}

const acting = ({ userId }: TestTenant) => ({
  principal: { kind: 'session', userId, sessionId: newId('ses'), expiresAtMs: Date.now() + 60_000 } as const,
  ip: '192.0.2.1',
  userAgent: 'test',
})

const get = (url: string) => app.inject({ url })

t.test('everybody sees what is offered without a credential, and may keep it for a while', async (t) => {
  const answer = await get('/v1/plans')
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['cache-control'], 'public, max-age=300')
  t.hasStrict(answer.json(), {
    data: [
      { key: 'free', version: 1, basePrice: '0', limits: { events: { perPeriod: '100000', mode: 'hard' } } },
      { key: 'pro', version: 1, basePrice: '4900', currency: 'USD', interval: 'month', trialDays: 14 },
      { key: 'enterprise', version: 1, basePrice: null },
    ],
    nextCursor: null,
  })
  t.equal(answer.json().data.length, 3)
  t.notMatch(answer.body, /createdBy|created_by/)
  t.same((await get('/v1/plans/pro')).json(), answer.json().data[1])
  t.match((await get('/v1/plans/nothing')).json(), { status: 404, code: 'billing.plan_not_found' })
  t.match((await get('/v1/plans/No')).json(), { status: 400, code: 'request.invalid' })
})

t.test('what the migration offers passes the checks of every other plan, and costs what it says', async (t) => {
  const plans = await catalog.listPlans()
  for (const { key, version: _version, ...terms } of plans) t.same(termsFaults(terms), [], key)
  const price = plans.find(({ key }) => key === 'pro')?.metered[0]?.price
  if (!price) throw new Error('Pro has no price of events')
  t.equal(priceOf(price, 5_000_000n).amount, 0n)
  t.equal(priceOf(price, 20_000_000n).amount, 16_000n, '10 million at 12 USD and 5 million at 8 USD')
})

t.test('a new plan is offered when the operator says so, and no longer when they say so', async (t) => {
  const served = createCatalogService(app)
  await served.createPlanVersion({ planKey: 'team', baseVersion: 0, terms: TERMS }, operator)
  await t.rejects(served.readPlan('team'), { code: 'billing.plan_not_found' })
  await served.offerPlan('team', true)
  t.match(await served.readPlan('team'), { key: 'team', version: 1, ...TERMS })
  await served.offerPlan('team', false)
  await t.rejects(served.readPlan('team'), { code: 'billing.plan_not_found' })
  t.match(await served.planVersion('team'), { version: 1 }, 'who subscribes still finds it')
  await t.rejects(served.offerPlan('nothing', true), { code: 'billing.plan_not_found' })
})

t.test('a new version is what is offered, and the old one says what it said', async (t) => {
  const served = createCatalogService(app)
  const { key: _key, version: _version, ...pro } = await served.readPlan('pro')
  await served.createPlanVersion({ planKey: 'pro', baseVersion: 1, terms: { ...pro, basePrice: '5900' } }, operator)
  t.hasStrict(await served.readPlan('pro'), { version: 2, basePrice: '5900' })
  t.hasStrict(await served.planVersion('pro', 1), { version: 1, basePrice: '4900' })
  await t.rejects(served.planVersion('pro', 3), { code: 'billing.plan_not_found' })
})

t.test('of changes to the same version one is made and the others are refused', async (t) => {
  const change = (price: number) =>
    catalog.createPlanVersion(
      { planKey: 'raced', baseVersion: 0, terms: { ...TERMS, basePrice: String(price) } },
      operator,
    )
  const results = await Promise.allSettled([1, 2, 3, 4].map(change))
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const result of results)
    if (result.status === 'rejected') t.match(result.reason, { code: 'billing.plan_changed', status: 409 })
  const ahead = { planKey: 'raced', baseVersion: 5, terms: TERMS }
  await t.rejects(catalog.createPlanVersion(ahead, operator), { code: 'billing.plan_changed' }, 'no version is skipped')
})

t.test('terms that could not be billed by are refused with each of their faults', async (t) => {
  const tier = { upTo: '10', unitAmount: '1' }
  const metered: PlanTerms['metered'] = [
    { meter: 'events', price: { model: 'graduated', tiers: [tier] } },
    { meter: 'events', price: { model: 'flat', amount: '1' } },
  ]
  const bad = { ...TERMS, currency: 'ABC', metered }
  await t.rejects(catalog.createPlanVersion({ planKey: 'bad', baseVersion: 0, terms: bad }, operator), {
    code: 'billing.plan_invalid',
    status: 422,
    errors: [{ path: '/currency' }, { path: '/metered/0/price/tiers/0/upTo' }, { path: '/metered/1/meter' }],
  })
  await t.rejects(catalog.planVersion('bad'), { code: 'billing.plan_not_found' }, 'and leave nothing behind')
  for (const basePrice of [4900, '49.00', '-1', '1e3'])
    t.match(termsFaults({ ...TERMS, basePrice }), [{ path: '/basePrice' }])
})

t.test('a custom plan is known to its organization alone, and is in its audit log', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const input = { planKey: 'enterprise', baseVersion: 0, terms: TERMS }
  await catalog.createCustomPlanVersion(alpha.organizationId, input, acting(alpha))
  const next = { ...input, baseVersion: 1, terms: { ...TERMS, basePrice: '1' } }
  await catalog.createCustomPlanVersion(alpha.organizationId, next, acting(alpha))
  t.hasStrict(await catalog.customPlan(alpha.organizationId, 'enterprise'), { version: 2, basePrice: '1' })
  t.hasStrict(await catalog.customPlan(alpha.organizationId, 'enterprise', 1), { version: 1, basePrice: '99000' })
  await t.rejects(catalog.customPlan(beta.organizationId, 'enterprise'), { code: 'billing.plan_not_found' })
  await t.rejects(catalog.createCustomPlanVersion(alpha.organizationId, next, acting(alpha)), {
    code: 'billing.plan_changed',
  })
  t.match(await catalog.planVersion('enterprise'), { version: 1, basePrice: null }, 'the public one is as it was')
  t.notMatch((await get('/v1/plans')).body, /99000/)
  const audit = createAuditService(app)
  const { data } = await audit.list({ organizationId: alpha.organizationId }, { limit: 50 })
  t.hasStrict(data, [
    {
      action: 'plan.agreed',
      actor: { id: alpha.userId },
      before: { version: 1 },
      after: { version: 2, basePrice: '1' },
    },
    { action: 'plan.agreed', target: { kind: 'plan', id: 'enterprise' }, after: { version: 1 } },
  ])
  t.same((await audit.list({ organizationId: beta.organizationId }, { limit: 50 })).data, [])
})

t.test('neither role of the server can change or delete what was offered or agreed', async (t) => {
  const denied = { cause: { code: '42501' } }
  const [{ organizationId }] = await createTwoTenants(app)
  for (const table of ['plan_versions', 'custom_plan_versions']) {
    for (const statement of [`update ${table} set version = version`, `delete from ${table}`]) {
      await t.rejects(
        app.postgres.withSystem((tx) => tx.execute(sql.raw(statement))),
        denied,
        statement,
      )
      await t.rejects(
        app.postgres.withTenant(organizationId, (tx) => tx.execute(sql.raw(statement))),
        denied,
      )
    }
  }
  await t.rejects(
    app.postgres.withSystem((tx) => tx.execute(sql`delete from plans`)),
    denied,
  )
  await t.rejects(
    app.postgres.withTenant(organizationId, (tx) => tx.execute(sql`select 1 from plans`)),
    denied,
  )
})

t.test('offers are kept, and a reading that failed is not', async (t) => {
  let readings = 0
  const withSystem = async () => {
    if (++readings === 1) throw new Error('away')
    return []
  }
  const served = createCatalogService({ postgres: { ...app.postgres, withSystem: withSystem as never } })
  await t.rejects(served.listPlans(), { message: 'away' })
  await Promise.all([served.listPlans(), served.listPlans(), served.listPlans()])
  t.equal(readings, 2)
})
