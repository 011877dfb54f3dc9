import { sql } from 'drizzle-orm'
import { pino } from 'pino'
import t from 'tap'
import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { createQuotaJobs } from '../../src/domains/billing/quota/jobs.ts'
import { createRecount } from '../../src/domains/billing/quota/recount.ts'
import { createQuotaService } from '../../src/domains/billing/quota/service.ts'
import { createTransitions } from '../../src/domains/billing/quota/transitions/service.ts'
import { createEnricher } from '../../src/domains/events/enrich/enrich.ts'
import { createKnownQuotas, openReplayDoor, type QuotaPolicy } from '../../src/domains/events/index.ts'
import { createHeldRelease, organizationsHeld } from '../../src/domains/quarantine/index.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { addMember } from '../helpers/principals.ts'
import { quarantineUrl, storedEvents } from '../helpers/quarantine.ts'
import { following, newBatch, override, period, startQuotas } from '../helpers/quota.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

// Without the role jobs nobody keeps quotas but the test.
const { app, config } = await startTestApp(t, { METERHOUSE_SHARDS: '1', METERHOUSE_ROLES: 'api,sink' })
const { quotas, used, send } = startQuotas(app, 1)
const { ingestRedis: redis, clickhouse, postgres } = app
const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
const policies = new Map<string, QuotaPolicy>()
const subscriptions = createSubscriptionsService({
  postgres,
  catalog: createCatalogService(app),
  defaultPlanKey: 'free',
})
const door = openReplayDoor(app, config, {
  enricher: createEnricher({ onFault: () => {} }),
  planOf: async () => null,
  ipPolicyOf: async () => 'keep',
})

/** What keeps quotas, as a process runs it; policies are what the test says. */
function startKeeping() {
  const signal = new AbortController().signal
  const recount = createRecount({ quotas, redis, shards: 1, clickhouse, signal })
  const known = createKnownQuotas(app)
  const policyOf = async (organizationId: string) =>
    policies.get(organizationId) ?? subscriptions.quotaPolicyOf(organizationId)
  const service = createQuotaService({
    ...{ postgres, quotas, policyOf, recount, known, metrics: app.metrics },
    onDrift: () => {},
    onFault: (_, error) => log.error(error),
  })
  const settle = createTransitions({ postgres, clock: () => new Date() })
  const release = createHeldRelease({ clickhouse, door })
  const held = () => organizationsHeld(clickhouse)
  const options = { quotas, service, settle, release, organizationsHeld: held, redis, shards: 1, log }
  return { service, settle, release, jobs: createQuotaJobs(options) }
}
const { service, release, jobs } = startKeeping()
jobs.start()
t.teardown(() => jobs.stop())

function say({ organizationId }: TestTenant, policy: Partial<QuotaPolicy> & Pick<QuotaPolicy, 'current'>) {
  policies.set(organizationId, { organizationId, stopped: null, next: null, ...policy })
  return service.apply(organizationId)
}

const countStored = async (tenant: TestTenant) => (await storedEvents(app, tenant)).length
const heldOf = async (tenant: TestTenant, status: string) =>
  (await app.inject(authorized(tenant.apiKey, { url: quarantineUrl(tenant), query: { status, limit: '100' } }))).json()
    .data as { messageId: string; reason: string; receivedAt: string }[]

/** What the owners are mailed. */
async function notices({ organizationId }: TestTenant) {
  const { rows } = await postgres.withSystem((tx) =>
    tx.execute<{ payload: { userId: string; subject: string } }>(
      sql`select payload from outbox where organization_id = ${organizationId} and kind = 'identity.notice' order by created_at`,
    ),
  )
  const byOwner = Map.groupBy(rows, ({ payload }) => payload.userId)
  return Object.fromEntries([...byOwner].map(([userId, own]) => [userId, own.map(({ payload }) => payload.subject)]))
}

async function told({ organizationId }: TestTenant) {
  const { rows: acts } = await postgres.withSystem((tx) =>
    tx.execute<{ action: string }>(
      sql`select action from audit_entries where organization_id = ${organizationId} and actor_kind = 'system' order by sequence`,
    ),
  )
  const { rows: facts } = await postgres.withSystem((tx) =>
    tx.execute<{ kind: string }>(
      sql`select kind from outbox where organization_id = ${organizationId} and kind like 'quota.re%' order by created_at`,
    ),
  )
  return { acts: acts.map(({ action }) => action), facts: facts.map(({ kind }) => kind) }
}

t.test(
  'what a quota holds is taken in when there is room: oldest first, once, and into the period in which it is released',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const current = period(2, 'hold', { endsAtMs: Date.now() + 4000 })
    await say(alpha, { current, next: following(current, 3, 'hold') })
    await say(beta, { current: period(1, 'hold') })
    await send(beta, newBatch(2))
    const timed = newBatch(7).map((event, index) => ({ ...event, timestamp: `2026-11-0${index + 1}T00:00:00.000Z` }))
    for (const event of timed) {
      const answer = await send(alpha, [event])
      t.equal(answer.statusCode, 202)
      t.match(answer.json(), event === timed[0] || event === timed[1] ? { accepted: 1 } : { accepted: 0, held: 1 })
    }
    t.match((await send(alpha, timed)).json(), { accepted: 0, duplicates: 2, held: 5 }, 'a retry is still held')
    const kept = await eventually('the five in the quarantine', async () => {
      const items = await heldOf(alpha, 'open')
      return items.length === 5 && items
    })
    t.ok(kept.every(({ reason }) => reason === 'quota_held'))
    await eventually('the one that had room', async () => (await countStored(beta)) === 1)

    // The next period takes three, whoever asks for them and however often.
    await eventually('the next period', async () => Date.now() > current.endsAtMs)
    const released = await Promise.all([release(alpha.organizationId), release(alpha.organizationId)])
    t.ok(released.every(({ isFull }) => isFull))
    await eventually('three released', async () => (await countStored(alpha)) === 5)
    t.same(
      (await storedEvents(app, alpha)).map(({ message_id }) => message_id).sort(),
      timed
        .slice(0, 5)
        .map(({ messageId }) => messageId)
        .sort(),
      'the oldest ones',
    )
    const rows = await storedEvents(app, alpha)
    const late = rows.filter(({ receivedAtMs }) => receivedAtMs >= current.endsAtMs)
    t.equal(late.length, 3, 'they count as received in the new period')
    t.same(
      late.map(({ timestampMs }) => new Date(timestampMs).toISOString()).sort(),
      timed.slice(2, 5).map(({ timestamp }) => timestamp),
      'and happened when they happened',
    )
    t.equal(await used(alpha), 3)
    t.equal((await heldOf(alpha, 'open')).length, 2)

    // More room by an upgrade: the jobs see to the rest.
    await say(alpha, { current: following(current, 10, 'hold') })
    await eventually('all released', async () => (await countStored(alpha)) === 7)
    await eventually('all closed', async () => (await heldOf(alpha, 'open')).length === 0)
    t.equal(await used(alpha), 5)
    t.match((await send(alpha, timed)).json(), { duplicates: 7 })
    await eventually('no mark is left', async () =>
      (await quotas.marked(0, 'quotaHeld')).every(([organizationId]) => organizationId !== alpha.organizationId),
    )
    t.equal((await heldOf(beta, 'open')).length, 1, 'another tenant waits for its own room')
  },
)

t.test('a counter that is wrong in either direction is corrected by what the event store holds', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const tenant of [alpha, beta]) await say(tenant, { current: period(100, 'hard') })
  await send(alpha, newBatch(20))
  await send(beta, newBatch(5))
  const { startsAtMs } = period(100, 'hard')
  await quotas.correct(alpha.organizationId, startsAtMs, 1000)
  const refused = await send(alpha, newBatch(1))
  t.equal(refused.statusCode, 429, 'counted too high, it stops')
  t.equal(await service.compare(alpha.organizationId), -1000)
  t.equal(await used(alpha), 20)
  await quotas.correct(alpha.organizationId, startsAtMs, -15)
  t.equal(await service.compare(alpha.organizationId), 15)
  t.equal(await used(alpha), 20)
  t.equal(await service.compare(alpha.organizationId), 0)
  t.equal(await used(beta), 5)
  const metrics = await app.metrics.registry.metrics()
  t.match(metrics, /meterhouse_quota_drift_events_total\{direction="overcounted"\} 1000/)
})

t.test('a counter that is lost stops nobody, and is built again from the event store before it limits', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await override(app, alpha, 30, 'hard')
  await service.apply(alpha.organizationId)
  await send(alpha, newBatch(25))
  await redis.del(`mh:{0}:quota:${alpha.organizationId}`)
  t.match((await send(alpha, newBatch(10))).json(), { accepted: 10 }, 'taken while nothing is known')
  await service.apply(alpha.organizationId)
  await eventually('all that was ever taken', async () => (await used(alpha)) === 35)
  t.equal((await send(alpha, newBatch(1))).statusCode, 429)
})

t.test('what happens to a quota is written down, told and mailed once for each period, whoever finds it', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const second = await addMember(app, alpha, 'owner')
  await addMember(app, alpha, 'admin')
  const other = startKeeping()
  other.jobs.start()
  t.teardown(() => other.jobs.stop())
  const current = period(3, 'hard', { endsAtMs: Date.now() + 6000 })
  const next = following(current, 3, 'hard')
  await say(alpha, { current, next })
  await say(beta, { current: period(3, 'soft') })
  await send(alpha, newBatch(5))
  await send(beta, newBatch(5))
  await eventually('the entries', async () => (await told(alpha)).acts.length === 2)
  t.same(await told(alpha), { acts: ['quota.reached', 'quota.stopped'], facts: ['quota.reached'] })
  // Raised, and used up again in the same period.
  await say(alpha, { current: { ...current, limit: 5n }, next })
  await eventually('room again', async () => (await told(alpha)).acts.length === 3)
  await eventually('used up again', async () => (await send(alpha, newBatch(5))).statusCode === 429)
  // The next period begins by itself, without a request.
  await eventually('the next period', async () => Date.now() > current.endsAtMs)
  policies.set(alpha.organizationId, { organizationId: alpha.organizationId, stopped: null, current: next, next: null })
  await eventually('no mark is left', async () =>
    (await quotas.marked(0, 'quotaChanged')).every(([organizationId]) => organizationId !== alpha.organizationId),
  )
  t.same(await told(alpha), {
    acts: ['quota.reached', 'quota.stopped', 'quota.resumed'],
    facts: ['quota.reached', 'quota.resumed'],
  })
  t.same(await notices(alpha), {
    [alpha.userId]: ['The events of your billing period are used up', 'Events are taken again'],
    [second]: ['The events of your billing period are used up', 'Events are taken again'],
  })
  await eventually('the entry of the other', async () => (await told(beta)).acts.length === 1)
  t.same(
    await told(beta),
    { acts: ['quota.reached'], facts: ['quota.reached'] },
    'who is not stopped has nothing to resume',
  )
  t.same(await notices(beta), { [beta.userId]: ['The events of your billing period are used up'] })
})
