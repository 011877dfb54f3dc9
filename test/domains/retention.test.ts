import { sql } from 'drizzle-orm'
import t from 'tap'
import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { markDirty } from '../../src/domains/events/index.ts'
import { createRetention } from '../../src/domains/projects/index.ts'
import { projects } from '../../src/domains/projects/tables.ts'
import { createEraser } from '../../src/domains/usage/retention.ts'
import { createUsageService } from '../../src/domains/usage/service.ts'
import { newId } from '../../src/ids.ts'
import type { ClickHouse } from '../../src/infra/clickhouse.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTenant, createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
// Without the role jobs: the tests take its steps themselves.
const { app } = await startTestApp(t, { METERHOUSE_ROLES: 'api,sink', METERHOUSE_SHARDS: '1' })
const { ingestRedis: redis, clickhouse, postgres, metrics } = app
const catalog = createCatalogService({ postgres })
const subscriptions = createSubscriptionsService({ postgres, catalog, defaultPlanKey: 'free' })
const planKeepsDays = async (id: string) => (await subscriptions.current(id)).plan.limits.retentionDays
const counts = { recountMeters: async () => {}, planKeepsDays }
const dependencies = { redis, shards: 1, clickhouse, postgres, metrics, ...counts }
const usage = createUsageService(dependencies)
const retention = createRetention({ postgres, planKeepsDays })
const today = Math.floor(Date.now() / DAY_MS) * DAY_MS
const columnTime = (ms: number) => new Date(ms).toISOString().replace('T', ' ').slice(0, -1)

/** An event of so many days ago, and its quarantined brother, as the sink stores and marks them. */
async function store({ organizationId, projectId }: TestTenant, daysAgo: number, messageId = `d${daysAgo}`) {
  const ms = today - daysAgo * DAY_MS + HOUR_MS
  const id = { organization_id: organizationId, project_id: projectId, message_id: messageId, event: 'Kept' }
  const received_at = columnTime(ms)
  await clickhouse.client.insert({
    table: 'events',
    values: [{ ...id, timestamp: columnTime(ms), received_at }],
    format: 'JSONEachRow',
  })
  await clickhouse.client.insert({
    table: 'quarantined_events',
    values: [{ ...id, received_at }],
    format: 'JSONEachRow',
  })
  await markDirty(redis, 0, [{ organizationId, projectId, hour: Math.floor(ms / HOUR_MS) }])
}

async function storedIn(table: string, { projectId }: TestTenant): Promise<string[]> {
  const query = `SELECT message_id AS id FROM ${table} WHERE project_id = {projectId:String} ORDER BY id`
  const result = await clickhouse.client.query({ query, query_params: { projectId }, format: 'JSONEachRow' })
  return (await result.json<{ id: string }>()).map(({ id }) => id)
}

async function recount() {
  // A service of its own, in which no project rests from the count before.
  const counting = createUsageService(dependencies)
  await eventually('the counting', async () => {
    await counting.recountOldest(0)
    return (await counting.lagMs(0)) === undefined
  })
}

/** Events that were counted, by how many days ago they happened. */
async function counted({ organizationId, projectId }: TestTenant) {
  const { rows } = await postgres.withTenant(organizationId, (tx) =>
    tx.execute<{ start: Date; events: string }>(
      sql`select window_start as start, events from usage_windows where project_id = ${projectId} and events > 0 order by 1`,
    ),
  )
  return rows.map(({ start, events }) => [Math.floor((today - new Date(start).getTime()) / DAY_MS) + 1, Number(events)])
}

function askToKeep({ userId, projectId }: TestTenant, retentionDays: number | null) {
  const request = { method: 'PATCH', url: `/v1/projects/${projectId}`, payload: { retentionDays } } as const
  return app.inject(authorized(sessionOf(app, userId), request))
}

async function keepFor(tenant: TestTenant, retentionDays: number | null) {
  const answer = await askToKeep(tenant, retentionDays)
  if (answer.statusCode !== 200 || answer.json().retentionDays !== retentionDays) throw new Error(answer.body)
}

/** Two tenants with events of the same days, all counted, of which the first keeps ten days. */
async function twoWithHistory() {
  const [alpha, beta] = await createTwoTenants(app)
  for (const tenant of [alpha, beta]) for (const daysAgo of [0, 10, 11, 40]) await store(tenant, daysAgo)
  await recount()
  await keepFor(alpha, 10)
  return [alpha, beta] as const
}

const ALL = ['d0', 'd10', 'd11', 'd40']
const COUNTED = [40, 11, 10, 0].map((daysAgo) => [daysAgo, 1])

t.test(
  'what is older than a project keeps it is erased, in that project alone, and what was counted stays',
  async (t) => {
    const [alpha, beta] = await twoWithHistory()
    const neighbor = { ...alpha, projectId: newId('prj') }
    await postgres.withSystem((tx) =>
      tx.insert(projects).values({ organizationId: alpha.organizationId, id: neighbor.projectId, name: 'Neighbor' }),
    )
    await store(neighbor, 40)
    await recount()
    t.equal(await usage.eraseDue(), 1)
    t.same(await storedIn('events', neighbor), ['d40'], 'a project of the same organization')
    for (const table of ['events', 'quarantined_events']) {
      t.same(await storedIn(table, alpha), ['d0', 'd10'], `${table}: the day itself and the ten before it`)
      t.same(await storedIn(table, beta), ALL, `${table} of others`)
    }
    for (const tenant of [alpha, beta]) t.same(await counted(tenant), COUNTED)
    t.equal(await usage.eraseDue(), 0, 'once a day')
    const tomorrow = createEraser({ redis, shards: 1, clickhouse, retention, now: () => Date.now() + DAY_MS })
    t.equal(await tomorrow(), 1)
    t.same(await storedIn('events', alpha), ['d0'], 'and a day further on the next')
    t.same(await storedIn('events', beta), ALL)
  },
)

t.test('a day with erased events is never counted again, whatever comes and however long is kept later', async (t) => {
  const [alpha, beta] = await twoWithHistory()
  await usage.eraseDue()
  for (const tenant of [alpha, beta]) await store(tenant, 11, 'late')
  await recount()
  t.same(await counted(alpha), COUNTED, 'one late event does not stand for the erased ones')
  t.same(await counted(beta), [
    [40, 1],
    [11, 2],
    [10, 1],
    [0, 1],
  ])
  await keepFor(alpha, 3650)
  t.equal(await usage.eraseDue(), 1, 'with nothing to erase')
  await store(alpha, 11, 'later')
  await recount()
  t.same(await counted(alpha), COUNTED)
  await store(alpha, 10, 'in time')
  await recount()
  t.same(
    await counted(alpha),
    [
      [40, 1],
      [11, 1],
      [10, 2],
      [0, 1],
    ],
    'days that are kept are counted as ever',
  )
})

t.test('the reconciliation takes erased events neither for lost nor for counted wrongly', async (t) => {
  const [alpha] = await twoWithHistory()
  const months = new Set([0, 10, 11, 40].map((daysAgo) => new Date(today - daysAgo * DAY_MS).toISOString().slice(0, 7)))
  for (const month of months) await redis.hset(`mh:{0}:accepted:${month}`, alpha.organizationId, 4)
  await usage.eraseDue()
  for (const month of months) {
    const difference = await usage.reconcile(month, new AbortController().signal)
    t.match(difference, { acceptedNotStored: 0, windows: 0 }, month)
  }
  t.equal(await usage.lagMs(0), undefined, 'no day is marked to be counted again')
})

t.test('nothing is erased that waits to be counted', async (t) => {
  const [alpha] = await twoWithHistory()
  await store(alpha, 20)
  t.equal(await usage.eraseDue(), 0)
  t.same(await storedIn('events', alpha), [...ALL, 'd20'].sort())
  await recount()
  t.equal(await usage.eraseDue(), 1)
  t.same(await storedIn('events', alpha), ['d0', 'd10'])
  t.same(await counted(alpha), [
    [40, 1],
    [20, 1],
    [11, 1],
    [10, 1],
    [0, 1],
  ])
})

t.test('erasing that broke off is begun again', async (t) => {
  const [alpha] = await twoWithHistory()
  const command: ClickHouse['client']['command'] = () => Promise.reject(new Error('ClickHouse is away'))
  const away = { ...clickhouse, client: Object.assign(Object.create(clickhouse.client), { command }) }
  await t.rejects(createEraser({ redis, shards: 1, clickhouse: away, retention })(), { message: 'ClickHouse is away' })
  t.same(await storedIn('events', alpha), ALL)
  t.equal(await usage.eraseDue(), 1)
  t.same(await storedIn('events', alpha), ['d0', 'd10'])
})

t.test('a project that keeps its events after all loses none', async (t) => {
  const [alpha] = await twoWithHistory()
  const changingItsMind = {
    ...retention,
    listDue: async (nowMs: number) => {
      const due = await retention.listDue(nowMs)
      await keepFor(alpha, null)
      return due
    },
  }
  t.equal(await createEraser({ redis, shards: 1, clickhouse, retention: changingItsMind })(), 0)
  t.same(await storedIn('events', alpha), ALL)
  t.equal(await usage.eraseDue(), 0)
})

const projectOf = async ({ userId, projectId }: TestTenant) =>
  (await app.inject(authorized(sessionOf(app, userId), { url: `/v1/projects/${projectId}` }))).json()

t.test('no project keeps events longer than the plan does, and it is shown how long they are kept', async (t) => {
  const [alpha, beta] = await Promise.all([
    createTenant(postgres, 'owner', { planKey: 'free' }),
    createTenant(postgres),
  ])
  t.match(await projectOf(alpha), { retentionDays: null, effectiveRetentionDays: 90 })
  t.match(await projectOf(beta), { retentionDays: null, effectiveRetentionDays: null })
  const refused = await askToKeep(alpha, 91)
  t.match(
    [refused.statusCode, refused.json()],
    [409, { code: 'billing.limit_reached', detail: /Free keeps .* 90 days/ }],
  )
  const payload = { name: 'Archive', retentionDays: 91 }
  const make = ({ userId, organizationId }: TestTenant) => {
    const request = { method: 'POST', url: `/v1/organizations/${organizationId}/projects`, payload } as const
    return app.inject(authorized(sessionOf(app, userId), request))
  }
  t.equal((await make(alpha)).statusCode, 409)
  t.match((await make(beta)).json(), { retentionDays: 91, effectiveRetentionDays: 91 })
  await keepFor(alpha, 90)
  await keepFor(alpha, 30)
  t.match(await projectOf(alpha), { retentionDays: 30, effectiveRetentionDays: 30 })
})

t.test(
  'what is older than the plan keeps it is erased for those on that plan, until they are on another',
  async (t) => {
    const [alpha, beta] = await Promise.all([
      createTenant(postgres, 'owner', { planKey: 'free' }),
      createTenant(postgres),
    ])
    const upgraded = await createTenant(postgres, 'owner', { planKey: 'free' })
    const tenants = [alpha, beta, upgraded]
    for (const tenant of tenants) for (const daysAgo of [0, 90, 91, 800]) await store(tenant, daysAgo)
    await recount()
    await keepFor(beta, 3650)
    const url = `/v1/organizations/${upgraded.organizationId}/subscription/change`
    const upgrade = authorized(sessionOf(app, upgraded.userId), { method: 'POST', url, payload: { planKey: 'pro' } })
    // While the erasing is under way: what was about to go is kept, as the new plan says.
    const upgrading = {
      ...retention,
      listDue: async (nowMs: number) => {
        const due = await retention.listDue(nowMs)
        t.equal((await app.inject(upgrade)).statusCode, 200)
        return due
      },
    }
    await createEraser({ redis, shards: 1, clickhouse, retention: upgrading })()
    t.same(await storedIn('events', alpha), ['d0', 'd90'])
    t.same(await storedIn('events', beta), ['d0', 'd800', 'd90', 'd91'])
    t.same(await storedIn('events', upgraded), ['d0', 'd800', 'd90', 'd91'], 'not by the plan before')
    t.equal(await usage.eraseDue(), 1, 'but by the one that it is on now')
    t.same(await storedIn('events', upgraded), ['d0', 'd90', 'd91'])
    t.match(await projectOf(upgraded), { effectiveRetentionDays: 730 })
  },
)
