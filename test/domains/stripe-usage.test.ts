import { sql } from 'drizzle-orm'
import t from 'tap'
import { openStripeWork } from '../../src/domains/billing/index.ts'
import { stripeAccounts, stripeSubscriptions, stripeUsageOutbox } from '../../src/domains/billing/stripe/tables.ts'
import { armFailpoints } from '../../src/infra/failpoints.ts'
import { startTestApp } from '../helpers/app.ts'
import { startStripeDouble } from '../helpers/stripe-double.ts'
import { recordEntitlements } from '../helpers/stripe-entitlements.ts'
import { createTenant, type TestTenant } from '../helpers/tenants.ts'

const HOUR_MS = 3_600_000
const double = await startStripeDouble(t)
const { state } = double
const { app, config } = await startTestApp(t, { ...double.environment, METERHOUSE_ROLES: 'api' })
if (!config.stripe) throw new Error('Stripe is not configured')
const START = new Date('2026-11-01T10:37:00Z')
const time = { at: START }
const { usage } = openStripeWork(app, { account: config.stripe, ports: recordEntitlements, clock: () => time.at })

const at = (text: string) => {
  time.at = new Date(text)
  state.clock.seconds = time.at.getTime() / 1000
}
t.afterEach(() => {
  double.knobs.trouble = () => undefined
  armFailpoints('', () => {})
})

/** An organization that is billed since START, in a period that begins with it. */
async function makeBilled(): Promise<TestTenant & { customerId: string }> {
  const tenant = await createTenant(app.postgres)
  const { organizationId } = tenant
  const customerId = state.put('cus', 'customer', {}).id
  await app.postgres.withTenant(organizationId, async (tx) => {
    await tx.insert(stripeAccounts).values({ organizationId, customerId })
    await tx.insert(stripeSubscriptions).values({
      organizationId,
      id: state.nextId('sub'),
      status: 'active',
      ...{ planKey: 'pro', planVersion: 1, isCustom: false, cancelAtPeriodEnd: false, epoch: 1 },
      ...{ periodStartsAt: START, periodEndsAt: new Date('2026-12-01T10:37:00Z'), createdAt: START },
    })
  })
  return { ...tenant, customerId }
}
/** What is counted for an hour. */
const count = ({ organizationId, projectId }: TestTenant, hour: string, events: number, complete = true) =>
  app.postgres.withTenant(organizationId, (tx) =>
    tx.execute(sql`insert into usage_windows (organization_id, project_id, window_start, events, revision, complete)
      values (${organizationId}, ${projectId}, ${hour}::timestamptz, ${events}, 1, ${complete})
      on conflict (organization_id, project_id, window_start) do update set events = excluded.events, complete = excluded.complete`),
  )
const toldOf = ({ customerId }: { customerId: string }) =>
  state.meterEvents
    .filter(({ customer }) => customer === customerId)
    .map(({ at, value }) => `${new Date(at * 1000).toISOString()} ${value}`)
const sumOf = ({ customerId }: { customerId: string }) =>
  state.meterEvents.filter(({ customer }) => customer === customerId).reduce((sum, { value }) => sum + value, 0n)
const rowsOf = ({ organizationId }: TestTenant) =>
  app.postgres.withTenant(organizationId, (tx) => tx.select().from(stripeUsageOutbox))
const push = async () => {
  await usage.freeze()
  await usage.send()
}

t.test(
  'an hour is told once when it is complete, with a time inside of it, and what changes as a difference',
  async (t) => {
    at('2026-11-01T12:30:00Z')
    const [alpha, beta] = [await makeBilled(), await makeBilled()]
    await count(alpha, '2026-11-01T09:00:00Z', 5)
    await count(alpha, '2026-11-01T10:00:00Z', 100)
    await count(alpha, '2026-11-01T11:00:00Z', 7, false)
    await count(alpha, '2026-11-01T12:00:00Z', 9)
    await push()
    await push()
    t.same(toldOf(alpha), ['2026-11-01T10:59:59.000Z 100'], 'not what was before, not what may grow, not what goes on')
    await count(alpha, '2026-11-01T10:00:00Z', 90)
    await count(alpha, '2026-11-01T11:00:00Z', 8)
    await push()
    t.same(toldOf(alpha).slice(1), ['2026-11-01T10:59:59.000Z -10', '2026-11-01T11:59:59.000Z 8'])
    t.same(toldOf(beta), [])
    t.match((await rowsOf(alpha)).map(({ revision, identifier }) => `${revision} ${identifier}`).sort(), [
      `0 ${alpha.organizationId}:events:${Date.parse('2026-11-01T10:00:00Z') / HOUR_MS}:0`,
      `0 ${alpha.organizationId}:events:${Date.parse('2026-11-01T11:00:00Z') / HOUR_MS}:0`,
      `1 ${alpha.organizationId}:events:${Date.parse('2026-11-01T10:00:00Z') / HOUR_MS}:1`,
    ])
  },
)

t.test('usage counts once though the process dies between any two steps, and though answers are lost', async (t) => {
  at('2026-11-02T12:30:00Z')
  const tenant = await makeBilled()
  await count(tenant, '2026-11-02T08:00:00Z', 41)
  await count(tenant, '2026-11-02T09:00:00Z', 1)
  await usage.freeze()
  for (const place of ['stripe.usage-attempted', 'stripe.usage-delivered']) {
    armFailpoints(`${place}=error`, () => {})
    await t.rejects(usage.send(), { message: `failpoint ${place}` })
  }
  armFailpoints('', () => {})
  double.knobs.trouble = (_method, path) => (path === '/v1/billing/meter_events' ? 'lost' : undefined)
  await usage.send()
  double.knobs.trouble = () => undefined
  await Promise.all([usage.send(), usage.send(), push()])
  t.equal(sumOf(tenant), 42n)
  for (const row of await rowsOf(tenant)) t.ok(row.sentAt)
})

t.test('after Stripe may have forgotten, it is asked before it is told again', async (t) => {
  at('2026-11-03T12:30:00Z')
  const [arrived, lost] = [await makeBilled(), await makeBilled()]
  for (const tenant of [arrived, lost]) await count(tenant, '2026-11-03T08:00:00Z', 5)
  await usage.freeze()
  // Of one the answer is lost, of the other the request; then nobody works for two days.
  double.knobs.trouble = (_method, path) => (path === '/v1/billing/meter_events' ? 'lost' : undefined)
  armFailpoints('stripe.usage-attempted=error@2', () => {})
  await t.rejects(usage.send())
  armFailpoints('', () => {})
  double.knobs.trouble = () => undefined
  const told = [sumOf(arrived), sumOf(lost)]
  t.same([...told].sort(), [0n, 5n])
  at('2026-11-05T12:30:00Z')
  await usage.send()
  t.same([sumOf(arrived), sumOf(lost)], [5n, 5n])
})

t.test('what Stripe cannot make sense of is set aside and not told again', async (t) => {
  at('2026-11-06T12:30:00Z')
  const tenant = await makeBilled()
  await count(tenant, '2026-11-06T08:00:00Z', 5)
  await usage.freeze()
  state.objects.delete(tenant.customerId)
  for (let tries = 0; tries < 12; tries++) await usage.send()
  t.match(await rowsOf(tenant), [{ deadAt: Date, attempts: 10, error: 'stripe 404 resource_missing' }])
})

t.test(
  'at the end of a period everything goes out while its invoice is open, and what is later is billed with the next',
  async (t) => {
    at('2026-12-01T10:40:00Z')
    const tenant = await makeBilled()
    await app.postgres.withTenant(tenant.organizationId, (tx) =>
      tx.execute(
        sql`update stripe_subscriptions set period_starts_at = '2026-12-01T10:37:00Z', period_ends_at = '2026-12-31T10:37:00Z'`,
      ),
    )
    await count(tenant, '2026-12-01T09:00:00Z', 30, false)
    await count(tenant, '2026-12-01T10:00:00Z', 4, false)
    await push()
    t.same(toldOf(tenant), ['2026-12-01T09:59:59.000Z 30'])
    at('2026-12-01T12:40:00Z')
    await count(tenant, '2026-12-01T09:00:00Z', 33)
    await count(tenant, '2026-12-01T10:00:00Z', 4)
    await push()
    t.same(toldOf(tenant).slice(1), ['2026-12-01T10:37:00.000Z 3', '2026-12-01T10:59:59.000Z 4'])
  },
)

t.test('the last hours of a subscription that has ended are told while its last invoice is open', async (t) => {
  at('2026-11-08T10:20:00Z')
  const tenant = await makeBilled()
  const end = (wish: boolean) =>
    app.postgres.withTenant(tenant.organizationId, (tx) =>
      tx.execute(sql`update stripe_subscriptions set status = 'canceled', canceled_at = '2026-11-08T10:05:00Z',
        cancel_at_period_end = ${wish}, period_ends_at = '2026-11-08T11:05:00Z'`),
    )
  await count(tenant, '2026-11-08T08:00:00Z', 5)
  await push()
  await end(false)
  await count(tenant, '2026-11-08T09:00:00Z', 30, false)
  await count(tenant, '2026-11-08T10:00:00Z', 4)
  at('2026-11-08T11:00:00Z')
  await push()
  t.same(toldOf(tenant).slice(1), ['2026-11-08T09:59:59.000Z 30'], 'not the hour that the next plan begins with')
  at('2026-11-08T11:20:00Z')
  await end(true)
  await push()
  t.same(toldOf(tenant).slice(2), ['2026-11-08T10:59:59.000Z 4'], 'one that was to end with its period ends then')
  at('2026-11-09T12:00:00Z')
  await count(tenant, '2026-11-08T09:00:00Z', 31)
  await push()
  t.equal(toldOf(tenant).length, 3, 'a day later nobody is billed for it')
})

t.test('an organization without a subscription at Stripe is not told of', async (t) => {
  at('2026-11-07T12:30:00Z')
  const tenant = await makeBilled()
  await app.postgres.withTenant(tenant.organizationId, (tx) =>
    tx.execute(sql`update stripe_subscriptions set status = 'canceled'`),
  )
  await count(tenant, '2026-11-07T08:00:00Z', 5)
  await push()
  t.same(await rowsOf(tenant), [])
})
