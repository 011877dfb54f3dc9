import { pino } from 'pino'
import t from 'tap'
import { createOutcomes, readOutcomes } from '../../src/domains/events/index.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const DAY_MS = 86_400_000
const { app, config } = await startTestApp(t)
const { shards } = config.ingest
const log = pino({ level: 'silent' })
const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)
const ask = ({ apiKey, projectId }: TestTenant, query: Record<string, string> = {}) =>
  app.inject(authorized(apiKey, { method: 'GET', url: `/v1/projects/${projectId}/ingestion`, query }))

t.test('a project sees per day what became of what was sent to it, and nothing of another', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const outcomes = createOutcomes({ redis: app.ingestRedis, shards, log })
  const today = Date.now()
  outcomes.count(alpha, 'accepted', 3)
  outcomes.count(alpha, 'accepted')
  outcomes.count(alpha, 'duplicate', 2)
  outcomes.count(alpha, 'conflict')
  outcomes.count(alpha, 'rejected:events.invalid', 4)
  outcomes.count(alpha, 'rejected:events.too_large')
  outcomes.count(alpha, 'quarantined', 0)
  outcomes.count(alpha, 'deadLetter')
  outcomes.count(alpha, 'accepted', 9, today - DAY_MS)
  outcomes.count(beta, 'burstRefused', 5)
  await outcomes.stop()
  const none = {
    accepted: 0,
    duplicates: 0,
    conflicts: 0,
    rejected: {},
    burstRefused: 0,
    quotaExceeded: 0,
    held: 0,
    sampledOut: 0,
    quarantined: 0,
    deadLetters: 0,
    stored: 0,
  }

  const answer = (await ask(alpha)).json()
  t.equal(answer.data.length, 7)
  t.same(answer.data.at(-1), {
    ...none,
    day: dayOf(today),
    accepted: 4,
    duplicates: 2,
    conflicts: 1,
    rejected: { 'events.invalid': 4, 'events.too_large': 1 },
    deadLetters: 1,
  })
  t.same(answer.data.at(-2), { ...none, day: dayOf(today - DAY_MS), accepted: 9 })
  t.ok(answer.lagSeconds < 5)
  t.ok(Date.parse(answer.completeThrough) > today - 5000)
  t.same((await ask(beta)).json().data.at(-1), { ...none, day: dayOf(today), burstRefused: 5 })
})

t.test('stored counts each event once, on the day on which its first copy was received', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const row = (tenant: TestTenant, message_id: string, received_at: string) => ({
    organization_id: tenant.organizationId,
    project_id: tenant.projectId,
    event: 'Tested',
    message_id,
    timestamp: '2026-02-01 10:00:00.000',
    received_at,
  })
  for (const values of [
    [row(alpha, 'a', '2026-02-03 00:00:01.000'), row(beta, 'a', '2026-02-03 00:00:01.000')],
    [row(alpha, 'a', '2026-02-01 23:59:59.999'), row(alpha, 'b', '2026-02-03 12:00:00.000')],
  ])
    await app.clickhouse.client.insert({ table: 'events', values, format: 'JSONEachRow' })
  const stored = async (tenant: TestTenant) =>
    (await ask(tenant, { from: '2026-02-01', to: '2026-02-04' }))
      .json()
      .data.map((day: { stored: number }) => day.stored)
  t.same(await stored(alpha), [1, 0, 1])
  t.same(await stored(beta), [0, 0, 1])
})

t.test('the days of the answer are the ones that were asked for', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const days = async (query: Record<string, string>, tenant = alpha) =>
    (await ask(tenant, query)).json().data.map(({ day }: { day: string }) => day)
  t.same(await days({ from: '2026-02-27', to: '2026-03-01' }), ['2026-02-27', '2026-02-28'])
  t.same(await days({ from: '2026-02-27T23:00:00Z', to: '2026-02-28T00:00:01Z' }, beta), ['2026-02-27', '2026-02-28'])
  for (const [query, path] of [
    [{ from: '2026-02-30' }, '/querystring/from'],
    [{ from: '2026-02-02', to: '2026-02-02' }, '/querystring/to'],
    [{ from: '2025-01-01', to: '2026-01-01' }, '/querystring/from'],
    [{ from: '2026-02-02', to: '2126-01-01' }, '/querystring/to'],
    [{ from: 'yesterday' }, ''],
    [{ since: '2026-02-02' }, ''],
  ] as const) {
    const answer = await ask(alpha, query as Record<string, string>)
    t.equal(answer.statusCode, 400, JSON.stringify(query))
    t.ok(answer.json().errors[0].path.startsWith(path))
  }
})

t.test('a flush whose answer was lost counts once, and one that never arrived is not forgotten', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  let fault: 'before' | 'after' | undefined
  const redis = new Proxy(app.ingestRedis, {
    get: (target, name) => {
      if (name !== 'eval') return Reflect.get(target, name)
      return async (...args: Parameters<typeof target.eval>) => {
        if (fault !== 'before') await target.eval(...args)
        if (fault) throw new Error('no answer')
      }
    },
  })
  const outcomes = createOutcomes({ redis, shards, log, flushIntervalMs: 3_600_000 })
  for (const state of ['after', 'before', undefined] as const) {
    fault = state
    outcomes.count(alpha, 'accepted', 5)
    outcomes.count(beta, 'rejected:events.invalid', 1)
    await outcomes.flush()
  }
  await outcomes.stop()
  const span = { fromMs: Date.now(), toMs: Date.now() + 1 }
  const read = async (tenant: TestTenant) => [...(await readOutcomes(app.ingestRedis, shards, tenant, span)).values()]
  t.same(await read(alpha), [{ accepted: 15 }])
  t.same(await read(beta), [{ 'rejected:events.invalid': 3 }])
})
