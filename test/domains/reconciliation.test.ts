import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import t from 'tap'
import {
  createCatalogService,
  createMetersService,
  createVerifyingService,
  openReconciliation,
} from '../../src/domains/billing/index.ts'
import { createQuotas } from '../../src/domains/events/index.ts'
import { keptFromMs } from '../../src/domains/projects/index.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { flatPlan } from '../helpers/plans.ts'
import { createTenant } from '../helpers/tenants.ts'

const HOUR_MS = 3_600_000
const SHARDS = 1
const { app, environment } = await startTestApp(t, { METERHOUSE_SHARDS: String(SHARDS) })
const { postgres, clickhouse, ingestRedis } = app
const plans = createCatalogService({ postgres })
await plans.createPlanVersion({ planKey: 'flat', baseVersion: 0, terms: flatPlan }, newId('usr'))
const alpha = await createTenant(postgres, 'owner', { planKey: 'flat' })
const beta = await createTenant(postgres)
const { organizationId } = alpha
const invoices = createVerifyingService({
  postgres,
  plans,
  keptFromMs,
  meters: createMetersService({ postgres, clickhouse }),
})
const { signal } = new AbortController()
const { reconcile, organizations } = openReconciliation(app, { shards: SHARDS, invoices, signal })
const driftOf = async (id = organizationId) =>
  (await reconcile(id, new Date(0))).map(({ check, about, detail }) => `${check}: ${about}: ${detail}`)
const asSystem = (statement: ReturnType<typeof sql>) => postgres.withSystem((tx) => tx.execute(statement))

/** The script, as people run it. */
const script = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['scripts/reconcile.ts', ...args], {
    env: { ...process.env, ...environment, METERHOUSE_SHARDS: String(SHARDS) },
  }).then(
    ({ stdout }) => ({
      code: 0,
      lines: stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    }),
    ({ code, stdout }) => ({
      code,
      lines: String(stdout)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    }),
  )

// Ten hours ago, so that Stripe should have heard of it.
const hour = new Date(Math.floor((Date.now() - 10 * HOUR_MS) / HOUR_MS) * HOUR_MS)
for (const { writeKey } of [alpha, beta]) {
  const payload = Array.from({ length: 5 }, () => ({ event: 'Used', timestamp: hour.toISOString() }))
  const answer = await app.inject(authorized(writeKey, { method: 'POST', url: '/v1/events', payload }))
  if (answer.json().accepted !== 5) throw new Error(answer.body)
}
const quotas = createQuotas({ redis: ingestRedis, shards: SHARDS })
await eventually('the counting', async () => {
  const counted = await asSystem(sql`select 1 from usage_windows where events = 5`)
  const [one, other] = await Promise.all([alpha, beta].map((tenant) => quotas.read(tenant.organizationId)))
  return counted.rows.length === 2 && one?.period && other?.period
})
await eventually('the invoice', async () => {
  const made = await asSystem(sql`select 1 from invoices where status = 'open' and organization_id = ${organizationId}`)
  return made.rows.length === 1
})
await asSystem(sql`update usage_windows set complete = true where organization_id = ${organizationId}`)
await asSystem(sql`insert into stripe_accounts (organization_id, customer_id) values (${organizationId}, 'cus_1')`)
await asSystem(sql`insert into stripe_subscriptions (organization_id, id, status, plan_key, plan_version, is_custom,
    period_starts_at, period_ends_at, cancel_at_period_end, created_at, epoch)
  values (${organizationId}, 'sub_1', 'active', 'flat', 1, false, now() - interval '2 days', now() + interval '20 days', false,
    now() - interval '2 days', 1)`)
await asSystem(sql`insert into stripe_usage_outbox (organization_id, meter_key, hour, revision, quantity, identifier, customer_id,
    stamped_at, frozen_at, sent_at)
  values (${organizationId}, 'events', ${hour.toISOString()}::timestamptz, 0, 5, 'told', 'cus_1', now(), now(), now())`)

t.test('where everything agrees nothing is said', async (t) => {
  t.same(await driftOf(), [])
  t.same(await driftOf(beta.organizationId), [])
  const all = []
  for await (const id of organizations()) all.push(id)
  t.same(new Set(all), new Set([organizationId, beta.organizationId]))
  const { code, lines } = await script()
  t.same(lines, [{ organizations: 2, door: 0, windows: 0, invoices: 0, stripe: 0 }])
  t.equal(code, 0)
})

t.test('a counter of the door that is wrong is named, and not corrected', async (t) => {
  const quota = await quotas.read(organizationId)
  await quotas.correct(organizationId, quota?.period?.startsAtMs ?? 0, 3)
  for (const _ of [1, 2]) t.match(await driftOf(), [/^door: .* has 3 events fewer than the door has counted$/])
  await quotas.correct(organizationId, quota?.period?.startsAtMs ?? 0, -3)
  t.same(await driftOf(), [])
})

t.test('a window that is wrong is named, and that Stripe was told of another number', async (t) => {
  const add = (events: number) =>
    asSystem(
      sql`update usage_windows set events = events + ${events} where organization_id = ${organizationId} and events > 0`,
    )
  await add(2)
  t.match(await driftOf(), [
    /^windows: \d{4}-\d{2}: .* by 2 events$/,
    /^stripe: .*: 7 events are counted, and Stripe is told of 5$/,
  ])
  await add(-2)
  t.same(await driftOf(), [])
})

t.test('an invoice that comes to something else is named with each difference', async (t) => {
  const add = (amount: number) =>
    asSystem(sql`update billing_charges set amount = amount + ${amount} where organization_id = ${organizationId}`)
  await add(1)
  const [line, ...more] = await driftOf()
  t.match(line, /^invoices: INV-\d+: .*\/lines\/0\/amount: "10001" is now "10002"/)
  t.same(more, [])
  await add(-1)
  t.same(await driftOf(), [])
})

t.test('what Stripe was told too much, never heard, or refused is named', async (t) => {
  const change = (what: ReturnType<typeof sql>) =>
    asSystem(sql`update stripe_usage_outbox set ${what} where organization_id = ${organizationId}`)
  await change(sql`quantity = 6`)
  t.match(await driftOf(), [/^stripe: .*: 5 events are counted, and Stripe is told of 6$/])
  await change(sql`quantity = 5, sent_at = null, frozen_at = now() - interval '7 hours'`)
  t.match(await driftOf(), [/^stripe: told: not sent: never tried$/])
  await change(sql`dead_at = now(), error = 'no such meter'`)
  t.match(await driftOf(), [/^stripe: told: given up: no such meter$/])
  const { code, lines } = await script('--organization', organizationId)
  t.match(lines, [
    { organizationId, check: 'stripe' },
    { organizations: 1, stripe: 1, door: 0 },
  ])
  t.equal(code, 1)
  t.equal((await script('--organization', beta.organizationId)).code, 0)
  await change(sql`sent_at = now(), dead_at = null, error = null, hour = hour - interval '1 day'`)
  t.match(await driftOf(), [
    /^stripe: .*: 5 events are counted, and Stripe is told of 0$/,
    /^stripe: .*: no events are counted, and Stripe is told of 5$/,
  ])
})
