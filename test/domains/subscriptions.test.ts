import { sql } from 'drizzle-orm'
import t from 'tap'
import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { newId } from '../../src/ids.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTenant, createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const { postgres } = app
const catalog = createCatalogService({ postgres })
const subscriptionsAt = (clock: () => Date) =>
  createSubscriptionsService({ postgres, catalog, defaultPlanKey: 'free', clock })

t.test('a new organization is on the default plan from the transaction on that makes it', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const payload = { name: 'New' }
  const request = { method: 'POST', url: '/v1/organizations', payload } as const
  const made = await app.inject(authorized(sessionOf(app, alpha.userId), request))
  const { id } = made.json()
  const { rows } = await postgres.withTenant(id, (tx) =>
    tx.execute(sql`select status, plan_key, plan_version, revision from subscriptions`),
  )
  t.match(rows, [{ status: 'active', plan_key: 'free', plan_version: 1 }])
  const { plan, period } = await subscriptionsAt(() => new Date()).current(id)
  t.equal(plan.key, 'free')
  t.ok(period && period.startsAt < period.endsAt)
})

t.test('an organization that is older than subscriptions gets one when it is asked for, once', async (t) => {
  const organizationId = newId('org')
  await postgres.withSystem((tx) =>
    tx.execute(sql`insert into organizations (id, name) values (${organizationId}, 'Old')`),
  )
  const services = Array.from({ length: 10 }, () => subscriptionsAt(() => new Date()))
  const answers = await Promise.all(services.map((service) => service.current(organizationId)))
  t.equal(new Set(answers.map(({ subscription }) => subscription.id)).size, 1)
  const count = sql`select (select count(*) from subscriptions) || ' ' || (select count(*) from billing_periods) as counts`
  t.match((await postgres.withTenant(organizationId, (tx) => tx.execute(count))).rows, [{ counts: '1 1' }])
})

t.test('the door is told the limit of this period and of the one that follows', async (t) => {
  const [free, unlimited] = await Promise.all([
    createTenant(postgres, 'owner', { planKey: 'free' }),
    createTenant(postgres),
  ])
  const now = new Date()
  const service = subscriptionsAt(() => now)
  const policy = await service.quotaPolicyOf(free.organizationId)
  t.match(policy, { stopped: null, current: { limit: 100_000n, mode: 'hard', eventsPerSecond: 100 } })
  t.equal(policy.next?.startsAtMs, policy.current.endsAtMs)
  t.equal(policy.next?.limit, 100_000n)
  t.equal((await service.quotaPolicyOf(unlimited.organizationId)).current.limit, null)
  const later = subscriptionsAt(() => new Date(policy.current.endsAtMs))
  t.equal((await later.quotaPolicyOf(free.organizationId)).current.periodId, policy.next?.periodId)
})
