import { sql } from 'drizzle-orm'
import t from 'tap'
import { bufferKeys } from '../../src/domains/events/buffer.ts'
import { dirtyKeys } from '../../src/domains/events/dirty.ts'
import { markDirty, readDirty, shardOf } from '../../src/domains/events/index.ts'
import { acquireLease, Fenced } from '../../src/domains/events/lease.ts'
import { createUsageService, type UsageDependencies } from '../../src/domains/usage/service.ts'
import { writeDay } from '../../src/domains/usage/store.ts'
import type { ClickHouse } from '../../src/infra/clickhouse.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { newEvents } from '../helpers/pipeline.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
// Without the role jobs: the tests take its steps themselves.
const { app } = await startTestApp(t, { METERHOUSE_ROLES: 'api,sink', METERHOUSE_SHARDS: '1' })
const { ingestRedis: redis, clickhouse, postgres, metrics } = app
const others = { recountMeters: async () => {}, planKeepsDays: async () => null }
const dependencies = { redis, shards: 1, clickhouse, postgres, metrics, ...others }
const usage = createUsageService(dependencies)
const today = Math.floor(Date.now() / DAY_MS) * DAY_MS

const at = (ms: number) => new Date(ms).toISOString()
const columnTime = (ms: number) => at(ms).replace('T', ' ').slice(0, -1)

async function send({ writeKey }: TestTenant, events: object[], on = app) {
  const request = { method: 'POST', url: '/v1/events', payload: events } as const
  const answer = await on.inject(authorized(writeKey, request))
  if (answer.statusCode !== 202) throw new Error(answer.body)
}

/** Until the sink has let go of everything that was sent. */
const stored = (on = app) =>
  eventually('the storing', async () => {
    const { stream, cursor } = bufferKeys(0)
    const [newest] = await on.ingestRedis.xrevrange(stream, '+', '-', 'COUNT', 1)
    return newest !== undefined && (await on.ingestRedis.get(cursor)) === newest[0]
  })

/** Writes a row past the door, as an earlier sink could have. */
const store = (
  { organizationId, projectId }: TestTenant,
  row: { message_id: string; timestamp: number; received_at: number },
) =>
  clickhouse.client.insert({
    table: 'events',
    values: [
      {
        ...row,
        organization_id: organizationId,
        project_id: projectId,
        event: 'Tested',
        timestamp: columnTime(row.timestamp),
        received_at: columnTime(row.received_at),
      },
    ],
    format: 'JSONEachRow',
  })

/** Counts until nothing is marked. Each time by a service of its own, in which no project rests from the count before. */
async function recount(given: UsageDependencies = dependencies) {
  await eventually('the counting', async () => {
    const service = createUsageService(given)
    await service.recountOldest(0)
    return (await service.lagMs(0)) === undefined
  })
}

async function windows({ organizationId, projectId }: TestTenant, on = app) {
  const rows = await on.postgres.withTenant(organizationId, (tx) =>
    tx.execute<{ start: Date; events: string; complete: boolean }>(
      sql`select window_start as start, events, complete from usage_windows where project_id = ${projectId} order by 1`,
    ),
  )
  return rows.rows.map(({ start, events, complete }) => ({
    startMs: new Date(start).getTime(),
    events: Number(events),
    complete,
  }))
}

const counts = async (tenant: TestTenant) =>
  Object.fromEntries(
    (await windows(tenant)).filter(({ events }) => events > 0).map(({ startMs, events }) => [startMs, events]),
  )

const mark = ({ organizationId, projectId }: TestTenant, ms: number) =>
  markDirty(redis, 0, [{ organizationId, projectId, hour: Math.floor(ms / HOUR_MS) }])

t.test('a stored event is in the usage window of its hour within five seconds', async (t) => {
  const { app } = await startTestApp(t, { METERHOUSE_SHARDS: '2' })
  const [alpha, beta] = await createTwoTenants(app)
  const total = async (tenant: TestTenant) => (await windows(tenant, app)).reduce((sum, { events }) => sum + events, 0)
  await send(alpha, newEvents(30), app)
  await send(beta, newEvents(7), app)
  await eventually('the windows', async () => (await total(alpha)) === 30 && (await total(beta)) === 7, 5000)
  const [first] = (await windows(alpha, app)).filter(({ events }) => events > 0)
  t.equal(first?.startMs, Math.floor(Date.now() / HOUR_MS) * HOUR_MS)
  await eventually('the removal of the marks', async () => {
    const marks = await Promise.all([0, 1].map((shard) => readDirty(app.ingestRedis, shard, 1)))
    return marks.every(({ hours }) => hours.length === 0)
  })
  t.match((await app.inject({ url: '/metrics' })).body, /meterhouse_usage_lag_seconds\{shard="1"\} 0/)
})

t.test(
  'each event counts once in the hour of its timestamp, also after a resend that the door takes again',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const events = [0, 0, 1, 5].map((hour, index) => ({
      event: 'Tested',
      messageId: `m${index}`,
      timestamp: at(today - DAY_MS + hour * HOUR_MS + index),
    }))
    await send(alpha, events)
    await send(beta, events.slice(0, 1))
    await stored()
    await recount()
    const expected = { [today - DAY_MS]: 2, [today - DAY_MS + HOUR_MS]: 1, [today - DAY_MS + 5 * HOUR_MS]: 1 }
    t.same(await counts(alpha), expected)
    t.same(await counts(beta), { [today - DAY_MS]: 1 })
    t.equal((await windows(alpha)).length, 24, 'a day is written whole')

    await redis.del(...(await redis.keys('*:marks:*')))
    await send(alpha, events)
    await stored()
    await recount()
    t.same(await counts(alpha), expected)
    t.same(await counts(beta), { [today - DAY_MS]: 1 })
  },
)

t.test('a first copy that is stored last moves the event to its own hour', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const day = today - 3 * DAY_MS
  for (const tenant of [alpha, beta]) {
    await store(tenant, { message_id: 'moved', timestamp: day + 5 * HOUR_MS, received_at: day + 6 * HOUR_MS })
    await mark(tenant, day + 5 * HOUR_MS)
  }
  await recount()
  t.same(await counts(alpha), { [day + 5 * HOUR_MS]: 1 })
  await store(alpha, { message_id: 'moved', timestamp: day + 2 * HOUR_MS, received_at: day + 2 * HOUR_MS })
  await mark(alpha, day + 2 * HOUR_MS)
  await recount()
  t.same(await counts(alpha), { [day + 2 * HOUR_MS]: 1 })
  t.same(await counts(beta), { [day + 5 * HOUR_MS]: 1 })
})

t.test('a count that dies before it is settled is repeated and changes nothing', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await send(alpha, newEvents(3))
  await send(beta, newEvents(2))
  await stored()
  let deaths = 0
  const dying = new Proxy(redis, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (name !== 'eval') return typeof value === 'function' ? value.bind(target) : value
      return (script: string, ...rest: [number, ...string[]]) => {
        if (!script.includes('HDEL')) return target.eval(script, ...rest)
        deaths += 1
        return Promise.reject(new Error('killed'))
      }
    },
  })
  await t.rejects(createUsageService({ ...dependencies, redis: dying }).recountOldest(0), {
    errors: [{ message: 'killed' }, { message: 'killed' }],
  })
  t.equal(deaths, 2)
  t.not(await usage.lagMs(0), undefined, 'the marks outlive it')
  await recount()
  t.same(Object.values(await counts(alpha)), [3])
  t.same(Object.values(await counts(beta)), [2])
})

t.test('a project that cannot be counted keeps its marks and holds up no other', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const tenant of [alpha, beta]) {
    await store(tenant, { message_id: 'm', timestamp: today, received_at: today })
    await mark(tenant, today)
  }
  const failing: ClickHouse['query'] = (scope, statement) =>
    scope.projectId === alpha.projectId ? Promise.reject(new Error('too much')) : clickhouse.query(scope, statement)
  const service = createUsageService({ ...dependencies, clickhouse: { ...clickhouse, query: failing } })
  await t.rejects(service.recountOldest(0), { message: 'projects could not be counted: 1' })
  t.same(await counts(beta), { [today]: 1 })
  t.match((await readDirty(redis, 0, 9)).hours, [{ projectId: alpha.projectId }])
  await recount()
  t.same(await counts(alpha), { [today]: 1 })
})

t.test('a mark that rises while its hour is counted stays', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const hourMs = today - 2 * DAY_MS
  await store(alpha, { message_id: 'first', timestamp: hourMs, received_at: hourMs })
  await mark(alpha, hourMs)
  const slow: ClickHouse['query'] = async (...args) => {
    const result = await clickhouse.query(...args)
    await store(alpha, { message_id: 'second', timestamp: hourMs + 1, received_at: hourMs })
    await mark(alpha, hourMs)
    return result
  }
  await createUsageService({ ...dependencies, clickhouse: { ...clickhouse, query: slow } }).recountOldest(0)
  t.same(await counts(alpha), { [hourMs]: 1 })
  t.equal((await readDirty(redis, 0, 10)).hours.length, 1)
  await recount()
  t.same(await counts(alpha), { [hourMs]: 2 })
})

t.test('a count for an older mark never replaces a newer one, whichever is written last', async (t) => {
  const [{ organizationId, projectId }] = await createTwoTenants(app)
  const write = (revision: number, events: number) =>
    postgres.withTenant(organizationId, (tx) =>
      writeDay(tx, {
        organizationId,
        projectId,
        dayMs: today,
        revision,
        eventsOf: new Map([[today / HOUR_MS, events]]),
      }),
    )
  await write(7, 70)
  await write(6, 60)
  t.match(await windows({ organizationId, projectId } as TestTenant), [{ events: 70 }])
  await write(8, 0)
  t.match(await windows({ organizationId, projectId } as TestTenant), [{ events: 0 }])
})

t.test('several processes that count at once agree', async (t) => {
  const tenants = await createTwoTenants(app)
  for (let round = 0; round < 5; round++) {
    for (const tenant of tenants) await send(tenant, newEvents(10))
    await Promise.all(
      [createUsageService(dependencies), createUsageService(dependencies)].map((one) => one.recountOldest(0)),
    )
  }
  const totals = async () => {
    await recount()
    const each = await Promise.all(tenants.map(counts))
    return each.map((hours) => Object.values(hours).reduce((sum, n) => sum + n, 0))
  }
  await eventually('the storing of all', async () => (await totals()).every((n) => n >= 50))
  t.same(await totals(), [50, 50])
})

t.test('revisions grow across removals, and a sink that lost its lease marks nothing', async (t) => {
  const scope = { organizationId: 'org_lease', projectId: 'prj_lease', hour: 1 }
  await markDirty(redis, 9, [scope])
  const first = await readDirty(redis, 9, 1)
  await redis.del(dirtyKeys(9).since, dirtyKeys(9).revisions)
  await redis.set(dirtyKeys(9).revision, String(Number(first.hours[0]?.revision) + 1e9))
  await markDirty(redis, 9, [scope])
  const [second] = (await readDirty(redis, 9, 1)).hours
  t.equal(second?.revision, Number(first.hours[0]?.revision) + 1e9 + 1, 'also when the clock goes back')

  const lease = await acquireLease(redis, 8)
  await lease?.advance('1-1', ['org|prj|1'])
  t.match((await readDirty(redis, 8, 9)).hours, [{ organizationId: 'org', projectId: 'prj', hour: 1 }])
  await lease?.release()
  const successor = await acquireLease(redis, 8)
  await t.rejects(Promise.resolve(lease?.advance('2-1', ['org|prj|2'])), Fenced)
  t.equal((await readDirty(redis, 8, 9)).hours.length, 1)
  await successor?.release()
})

t.test('a window is complete once nothing acknowledged within two hours of its end is uncounted', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS
  for (const tenant of [alpha, beta]) {
    for (const back of [2, 4, 5]) {
      const timestamp = hour - back * HOUR_MS
      await store(tenant, { message_id: `c${back}`, timestamp, received_at: timestamp })
      await mark(tenant, timestamp)
    }
  }
  await recount()
  await mark(beta, hour - 4 * HOUR_MS)
  await usage.completeWindows()
  const complete = async (tenant: TestTenant) =>
    (await windows(tenant))
      .filter(({ events, complete }) => events > 0 && complete)
      .map(({ startMs }) => (hour - startMs) / HOUR_MS)
  t.same(await complete(alpha), [5, 4], 'the last hours are open')
  t.same(await complete(beta), [5], 'a marked hour is open')

  const lateBefore = (await metrics.usageLate.get()).values[0]?.value ?? 0
  await store(alpha, { message_id: 'late', timestamp: hour - 4 * HOUR_MS, received_at: hour })
  await mark(alpha, hour - 4 * HOUR_MS)
  await recount()
  t.equal((await counts(alpha))[hour - 4 * HOUR_MS], 2, 'a late event is counted')
  t.equal((await metrics.usageLate.get()).values[0]?.value, lateBefore + 1, 'and told')
})

t.test('the reconciliation finds what is lost, invented or counted wrongly, and has it counted again', async (t) => {
  const { app } = await startTestApp(t, { METERHOUSE_ROLES: 'api,sink', METERHOUSE_SHARDS: '1' })
  const [alpha, beta] = await createTwoTenants(app)
  const { ingestRedis: redis, clickhouse, postgres } = app
  const own = { ...dependencies, redis, clickhouse, postgres }
  const usage = createUsageService(own)
  const month = at(Date.now()).slice(0, 7)
  const reconcile = () => usage.reconcile(month, new AbortController().signal)
  await send(alpha, newEvents(20), app)
  await send(beta, newEvents(5), app)
  await stored(app)
  t.same(await reconcile(), { acceptedNotStored: 0, storedNotAccepted: 0, windows: 0 }, 'marked days are left alone')
  await recount(own)
  t.same(await reconcile(), { acceptedNotStored: 0, storedNotAccepted: 0, windows: 0 })

  await app.postgres.withSystem((tx) =>
    tx.execute(
      sql`update usage_windows set events = events + 3 where organization_id = ${beta.organizationId} and events > 0`,
    ),
  )
  await app.ingestRedis.hincrby(`mh:{0}:accepted:${month}`, alpha.organizationId, 2)
  t.same(await reconcile(), { acceptedNotStored: 2, storedNotAccepted: 0, windows: 3 })
  await recount(own)
  await app.ingestRedis.hincrby(`mh:{0}:accepted:${month}`, alpha.organizationId, -6)
  t.same(
    await reconcile(),
    { acceptedNotStored: 0, storedNotAccepted: 4, windows: 0 },
    'what was counted wrongly is right',
  )
  t.equal(
    (await windows(beta, app)).reduce((sum, { events }) => sum + events, 0),
    5,
  )

  await app.postgres.withSystem((tx) => tx.execute(sql`delete from usage_windows`))
  t.match(await reconcile(), { windows: 25 }, 'windows that were never written are found too')
  await recount(own)
  t.match(await reconcile(), { windows: 0 })
  t.equal(shardOf(alpha.organizationId, 1), 0)
})
