import { sql } from 'drizzle-orm'
import t from 'tap'
import { newId } from '../../src/ids.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { type Copy, storeCopies } from '../helpers/naive-meter.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const START = Date.UTC(2026, 0, 30)
const at = (ms: number) => new Date(ms).toISOString()

function call(tenant: TestTenant, path: string, query: Record<string, string> = {}) {
  const url = `/v1/organizations/${tenant.organizationId}/usage${path}`
  return app.inject(authorized(sessionOf(app, tenant.userId), { url, query }))
}

async function define(tenant: TestTenant) {
  const url = `/v1/organizations/${tenant.organizationId}/meters`
  const payload = { key: 'most', name: 'Most', aggregation: 'max', property: 'bytes', groupBy: ['properties.plan'] }
  const { statusCode } = await app.inject(authorized(sessionOf(app, tenant.userId), { method: 'POST', url, payload }))
  if (statusCode !== 201) throw new Error('the meter was not made')
}

const store = (
  { organizationId, projectId }: TestTenant,
  rows: (Partial<Copy> & { bytes?: unknown; plan?: string })[],
) =>
  storeCopies(
    app,
    rows.map(({ bytes, plan, ...row }, index) => ({
      organizationId,
      projectId,
      event: 'Called',
      messageId: String(index),
      timestampMs: START + index,
      receivedMs: START + DAY_MS,
      properties: JSON.stringify({ bytes, plan }),
      ...row,
    })),
  )

const span = { from: at(START), to: at(START + 2 * DAY_MS) }

t.test('usage is split by day, project, name, group and meter, for one organization alone', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const second = newId('prj')
  await define(alpha)
  await store(alpha, [
    { bytes: 2, plan: 'a' },
    { bytes: 9.5, plan: 'b' },
    { bytes: 'x', event: '=SUM(A1)' },
    { bytes: -1, timestampMs: START + DAY_MS, projectId: second },
  ])
  await store(beta, [{ bytes: 100 }])
  const lines = async (by: string, query: object = {}) => {
    const answer = await call(alpha, '', { ...span, by, ...query })
    t.equal(answer.statusCode, 200, answer.body)
    return answer.json()
  }
  const line = (key: string, value: string, skipped = '0', events = value) => ({ key, value, events, skipped })
  t.hasStrict(await lines('day'), {
    ...span,
    by: 'day',
    data: [line('2026-01-30', '3'), line('2026-01-31', '1')],
    total: { value: '4', events: '4', skipped: '0' },
  })
  t.hasStrict(
    Object.fromEntries(
      (await lines('project')).data.map((one: { key: string; value: string }) => [one.key, one.value]),
    ),
    {
      [alpha.projectId]: '3',
      [second]: '1',
    },
  )
  t.hasStrict((await lines('event')).data, [line('=SUM(A1)', '1'), line('Called', '3')])
  t.hasStrict((await lines('group', { meter: 'most' })).data, [
    { key: '["a"]', value: '2' },
    { key: '["b"]', value: '9.5' },
    { key: '[null]', value: '-1', events: '1', skipped: '1' },
  ])
  t.hasStrict(await lines('meter'), { data: [line('events', '4'), line('most', '9.5', '1', '3')], total: null })
  t.hasStrict((await lines('day', { projectId: second })).total, { value: '1' })
  t.hasStrict((await lines('day', { projectId: beta.projectId })).total, { value: '0' })
  t.hasStrict((await call(beta, '', span)).json().total, { value: '1' })
  const csv = await call(alpha, '/export', { ...span, by: 'event' })
  t.equal(csv.body, "event,value,events,skipped\r\n'=SUM(A1),1,1,0\r\nCalled,3,3,0\r\n")
  t.equal(csv.headers['content-type'], 'text/csv; charset=utf-8; header=present')
})

t.test(
  'without a span usage is that of the billing period that is open, and each period is shown as it is billed',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS
    await store(alpha, [
      { timestampMs: now, receivedMs: now + 1 },
      { timestampMs: now - 40 * DAY_MS, receivedMs: now - 40 * DAY_MS },
    ])
    const current = (await call(alpha, '')).json()
    const { rows } = await app.postgres.withTenant(alpha.organizationId, (tx) =>
      tx.execute<{ from: Date; to: Date; id: string }>(
        sql`select usage_from as from, usage_to as to, id from billing_periods where status = 'open'`,
      ),
    )
    t.equal(current.from, new Date(rows[0]?.from ?? 0).toISOString())
    t.equal(current.to, new Date(rows[0]?.to ?? 0).toISOString())
    t.hasStrict(current.total, { value: '1' })
    t.hasStrict((await call(alpha, '/periods')).json(), {
      data: [{ periodId: rows[0]?.id, from: current.from, to: current.to, status: 'open', cutOff: null, value: '1' }],
    })
    await app.postgres.withSystem((tx) =>
      tx.execute(sql`update billing_periods set cut_off = ${at(now)} where organization_id = ${alpha.organizationId}`),
    )
    t.hasStrict((await call(alpha, '/periods')).json(), { data: [{ cutOff: at(now), value: '0' }] })
    t.hasStrict((await call(beta, '/periods')).json().data, [{ value: '0' }])
  },
)

t.test('a line opens into its hours and an hour into its events, also those that are skipped', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const tenant of [alpha, beta]) await define(tenant)
  const rows = Array.from({ length: 7 }, (_, index) => ({
    bytes: index === 3 ? 'x' : index,
    event: index % 2 ? "it's" : 'Called',
    timestampMs: START + index * 1000,
    receivedMs: START + index * HOUR_MS,
  }))
  await store(alpha, [...rows, { bytes: 50, timestampMs: START + 5 * HOUR_MS, messageId: 'other hour' }])
  await store(beta, rows)
  const cutOff = at(START + 5 * HOUR_MS)
  const hours = (await call(alpha, '/hours', { ...span, meter: 'most', version: '1', receivedThrough: cutOff })).json()
  t.match(hours, {
    meter: 'most',
    version: 1,
    data: [
      {
        time: at(START),
        projectId: alpha.projectId,
        value: /^5$/,
        events: /^5$/,
        skipped: /^1$/,
        contentHash: /^[0-9a-f]{64}$/,
      },
    ],
  })
  t.equal(hours.data.length, 1)
  const late = (await call(alpha, '/hours', { ...span, meter: 'most', receivedAfter: cutOff })).json()
  t.hasStrict(late.data, [{ value: '6', events: '1' }, { value: '50' }])

  const seen: { event: string; messageId: string; value: string | null }[] = []
  const question = { hour: at(START), projectId: alpha.projectId, meter: 'most', receivedThrough: cutOff, limit: '2' }
  let cursor: string | null = null
  do {
    const page = await call(alpha, '/events', { ...question, ...(cursor && { cursor }) })
    t.equal(page.statusCode, 200, page.body)
    seen.push(...page.json().data)
    cursor = page.json().nextCursor
  } while (cursor !== null)
  t.same(
    seen.map(({ event, messageId, value }) => [event, messageId, value]),
    [
      ['Called', '0', '0'],
      ['Called', '2', '2'],
      ['Called', '4', '4'],
      ["it's", '1', '1'],
      ["it's", '3', null],
      ["it's", '5', '5'],
    ],
  )
  const first = (await call(alpha, '/events', question)).json()
  t.match(first.data[0], { timestamp: at(START), receivedAt: at(START) })
  const moved = await call(alpha, '/events', { ...question, meter: 'events', cursor: first.nextCursor })
  t.match(moved.json(), { status: 400, errors: [{ path: '/querystring/cursor' }] })
  t.same((await call(beta, '/events', question)).json().data, [], 'another organization has no such project')
  t.match((await call(beta, '/hours', { ...span, projectId: alpha.projectId })).json().data, [])
})

t.test('faulty times are named, and what is not there is not found', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const pathsOf = async (path: string, query: Record<string, string>) =>
    (await call(alpha, path, query)).json().errors?.map((fault: { path: string }) => fault.path)
  t.same(await pathsOf('', { from: '2026-02-30', to: '9999-01-01' }), ['/querystring/from', '/querystring/to'])
  t.same(await pathsOf('', { from: span.to, to: span.from }), ['/querystring/to'])
  t.same(await pathsOf('/hours', { from: '2024-01-01', to: '2026-01-01' }), ['/querystring/from'])
  t.same(await pathsOf('/events', { hour: at(START + 1), projectId: alpha.projectId }), ['/querystring/hour'])
  t.match((await call(alpha, '', { ...span, meter: 'nothing' })).json(), { code: 'billing.meter_not_found' })
  t.match((await call(alpha, '/hours', { ...span, version: '2' })).json(), { code: 'billing.meter_not_found' })
})
