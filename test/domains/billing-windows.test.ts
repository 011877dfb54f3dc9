import { sql } from 'drizzle-orm'
import t from 'tap'
import { createMetersService, createMeterWindows } from '../../src/domains/billing/index.ts'
import { formatDecimal, parseDecimal } from '../../src/domains/billing/money/decimal.ts'
import { markDirty, readDirty } from '../../src/domains/events/index.ts'
import { keptFromMs } from '../../src/domains/projects/index.ts'
import { createUsageDays } from '../../src/domains/usage/index.ts'
import { createUsageService } from '../../src/domains/usage/service.ts'
import { newId } from '../../src/ids.ts'
import { eventually, startTestApp } from '../helpers/app.ts'
import { type Copy, storeCopies } from '../helpers/naive-meter.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
// Without the role jobs: the tests take its steps themselves.
const { app } = await startTestApp(t, { METERHOUSE_ROLES: 'api,sink', METERHOUSE_SHARDS: '1' })
const { ingestRedis: redis, clickhouse, postgres, metrics } = app
const meters = createMetersService(app)
const windows = createMeterWindows({ postgres, clickhouse, usageDays: createUsageDays(app), keptFromMs })
const dependencies = { redis, shards: 1, clickhouse, postgres, metrics, planKeepsDays: async () => null }
const yesterday = (Math.floor(Date.now() / DAY_MS) - 1) * DAY_MS

const acting = ({ userId }: TestTenant) => ({
  principal: { kind: 'session', userId, sessionId: newId('ses'), expiresAtMs: Date.now() + 60_000 } as const,
  ip: '192.0.2.1',
  userAgent: 'test',
})
const SUM = { name: 'Bytes', aggregation: 'sum', property: 'bytes' } as const
const define = async (tenants: TestTenant[]) => {
  for (const tenant of tenants)
    await meters.createMeter(tenant.organizationId, { key: 'bytes', ...SUM }, acting(tenant))
}

const mark = ({ organizationId, projectId }: TestTenant, ms: number) =>
  markDirty(redis, 0, [{ organizationId, projectId, hour: Math.floor(ms / HOUR_MS) }])

/** Writes copies past the door and marks their hours, as a sink does. */
async function store(
  tenant: TestTenant,
  rows: { id: string; at: number; bytes: unknown; late?: number; project?: string }[],
) {
  const { organizationId } = tenant
  const copies = rows.map(
    ({ id, at, bytes, late = 1, project = tenant.projectId }): Copy => ({
      organizationId,
      projectId: project,
      event: "it's",
      messageId: id,
      timestampMs: at,
      receivedMs: at + late,
      properties: JSON.stringify({ bytes }),
    }),
  )
  await storeCopies(app, copies)
  for (const { projectId, timestampMs } of copies) await mark({ ...tenant, projectId }, timestampMs)
}

/** Counts all that is marked; a new service, because one lets a project rest after a count. */
async function recount() {
  await eventually('the counting', async () => {
    const counting = createUsageService({ ...dependencies, recountMeters: windows.recount })
    await counting.recountOldest(0)
    return (await counting.lagMs(0)) === undefined
  })
}

const span = { from: new Date(yesterday), to: new Date(yesterday + DAY_MS) }
const list = ({ organizationId }: TestTenant, version = 1) =>
  windows.list(organizationId, { key: 'bytes', version, ...span })
const valuesOf = async (tenant: TestTenant, version?: number) =>
  Object.fromEntries(
    (await list(tenant, version)).map((row) => [(row.windowStart.getTime() - yesterday) / HOUR_MS, row.value]),
  )

/** What the windows say together, against what the events say. */
async function sumsAgree(t: Pick<Tap, 'equal'>, tenant: TestTenant) {
  const rows = await list(tenant)
  const { value, rowCount } = await meters.usage(tenant.organizationId, { meterKey: 'bytes', ...span })
  t.equal(formatDecimal(rows.reduce((sum, row) => sum + parseDecimal(row.value), 0n)), value)
  t.equal(
    rows.reduce((sum, row) => sum + row.rowCount, 0n),
    rowCount,
  )
}
type Tap = typeof t

/** Random in the same way each time. */
function dice(seed: number) {
  let state = seed
  return (sides: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % sides
  }
}

t.test('windows sum to what the events say, whatever comes twice, late, again, or is merged', async (t) => {
  const tenants = await createTwoTenants(app)
  await define(tenants)
  const roll = dice(20_261_123)
  for (const tenant of tenants) {
    const projects = [tenant.projectId, newId('prj')]
    const rows = Array.from({ length: 150 }, (_, index) => ({
      id: String(roll(90)),
      at: yesterday + roll(DAY_MS),
      bytes: [roll(1000) / 8, -roll(5), 'text', null][roll(4)],
      late: 1000 + index * 60_000,
      project: projects[roll(2)] ?? tenant.projectId,
    }))
    for (let from = 0; from < rows.length; from += 50) {
      await store(tenant, rows.slice(from, from + 50))
      await recount()
      await sumsAgree(t, tenant)
    }
    await store(tenant, rows.slice(20, 60))
    await clickhouse.client.command({ query: 'OPTIMIZE TABLE events FINAL' })
    await recount()
    await sumsAgree(t, tenant)
    t.ok((await list(tenant)).length > 20)
  }
  t.not(JSON.stringify(await valuesOf(tenants[0])), JSON.stringify(await valuesOf(tenants[1])))
})

t.test('an hour stays marked until its meters are counted, too', async (t) => {
  const tenants = await createTwoTenants(app)
  const [alpha, beta] = tenants
  await define(tenants)
  const failing = createUsageService({
    ...dependencies,
    recountMeters: async (project, days) => {
      if (project.organizationId === alpha.organizationId) throw new Error('killed')
      await windows.recount(project, days)
    },
  })
  for (const tenant of tenants) await store(tenant, [{ id: 'a', at: yesterday, bytes: 2.5 }])
  await t.rejects(failing.recountOldest(0))
  t.same(await valuesOf(alpha), {})
  t.same(await valuesOf(beta), { 0: '2.5' })
  t.match((await readDirty(redis, 0, 9)).hours, [{ organizationId: alpha.organizationId }])
  await recount()
  t.same(await valuesOf(alpha), { 0: '2.5' })
})

t.test('a new version is counted for the days before it, and the windows of the old one stay', async (t) => {
  const tenants = await createTwoTenants(app)
  const [alpha, beta] = tenants
  for (const tenant of tenants) {
    await store(tenant, [
      { id: 'a', at: yesterday, bytes: 2 },
      { id: 'b', at: yesterday + 1, bytes: 3 },
    ])
  }
  await recount()
  const stale = async () =>
    (await windows.listStale()).filter((hour) => tenants.some((one) => one.organizationId === hour.organizationId))
  t.same(await stale(), [])
  await define([alpha])
  t.match(await stale(), [
    { organizationId: alpha.organizationId, projectId: alpha.projectId, hour: yesterday / HOUR_MS },
  ])
  await markDirty(redis, 0, await stale())
  await recount()
  t.same(await valuesOf(alpha), { 0: '5' })
  t.same(await valuesOf(beta), {})
  t.same(await stale(), [])
  const max = { name: 'Most', aggregation: 'max', property: 'bytes' } as const
  await meters.addVersion(alpha.organizationId, 'bytes', { baseVersion: 1, ...max }, acting(alpha))
  await markDirty(redis, 0, await stale())
  await recount()
  t.same(await valuesOf(alpha, 2), { 0: '3' })
  t.same(await valuesOf(alpha), { 0: '5' })
})

t.test(
  'once its period is counted for the invoice a window holds what was received until then, and never changes',
  async (t) => {
    const tenants = await createTwoTenants(app)
    const [alpha, beta] = tenants
    await define(tenants)
    const [usageFrom, usageTo, cutOff] = [yesterday - 5 * DAY_MS, yesterday + 2 * HOUR_MS, yesterday + 10 * HOUR_MS]
    for (const tenant of tenants)
      await store(tenant, [
        { id: 'in time', at: yesterday + HOUR_MS, bytes: 1, late: HOUR_MS },
        { id: 'late', at: yesterday + HOUR_MS + 1, bytes: 10, late: 12 * HOUR_MS },
        { id: 'next period', at: yesterday + 2 * HOUR_MS, bytes: 100, late: 12 * HOUR_MS },
      ])
    await recount()
    t.same(await valuesOf(alpha), { 1: '11', 2: '100' })
    await postgres.withSystem((tx) =>
      tx.execute(sql`update billing_periods set usage_from = ${new Date(usageFrom).toISOString()}, usage_to = ${new Date(usageTo).toISOString()},
      cut_off = ${new Date(cutOff).toISOString()}, status = 'invoiced' where organization_id = ${alpha.organizationId}`),
    )
    const stale = (await windows.listStale()).filter(({ organizationId }) => organizationId === alpha.organizationId)
    t.match(stale, [{ hour: yesterday / HOUR_MS }])
    await markDirty(redis, 0, stale)
    await recount()
    t.same(await valuesOf(alpha), { 1: '1', 2: '100' })
    t.same(await valuesOf(beta), { 1: '11', 2: '100' })
    const billed = await meters.usage(alpha.organizationId, {
      meterKey: 'bytes',
      from: span.from,
      to: new Date(usageTo),
      receivedThrough: new Date(cutOff),
    })
    t.equal(billed.value, '1', 'as it is billed')

    for (const tenant of tenants)
      await store(tenant, [
        { id: 'later', at: yesterday + 1, bytes: 1000, late: 20 * HOUR_MS },
        { id: 'other', at: yesterday + 3 * HOUR_MS, bytes: 4, late: 20 * HOUR_MS },
      ])
    await recount()
    t.same(await valuesOf(alpha), { 1: '1', 2: '100', 3: '4' })
    t.same(await valuesOf(beta), { 0: '1000', 1: '11', 2: '100', 3: '4' })
    t.same(
      (await list(alpha)).map(({ closed }) => closed),
      [true, false, false],
    )
    t.same(
      (await windows.listStale()).filter(({ organizationId }) => organizationId === alpha.organizationId),
      [],
    )
  },
)

t.test('windows outlive their project', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await define([alpha, beta])
  for (const tenant of [alpha, beta]) await store(tenant, [{ id: 'a', at: yesterday, bytes: 2 }])
  await recount()
  await postgres.withSystem((tx) => tx.execute(sql`delete from api_keys where project_id = ${alpha.projectId}`))
  await postgres.withSystem((tx) => tx.execute(sql`delete from projects where id = ${alpha.projectId}`))
  t.same(await valuesOf(alpha), { 0: '2' })
})
