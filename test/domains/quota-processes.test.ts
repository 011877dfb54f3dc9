import { sql } from 'drizzle-orm'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { startTestMailbox } from '../helpers/mailbox.ts'
import { storedEvents } from '../helpers/quarantine.ts'
import { newBatch, override } from '../helpers/quota.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const mailbox = await startTestMailbox(t)
const { app, config } = await startTestApp(t, { METERHOUSE_SMTP_URL: mailbox.url })
const other = await buildApp({ ...config, roles: ['api'] }, false)
await other.ready()
t.teardown(() => other.close())
const processes = [app, other]
const subscriptions = createSubscriptionsService({
  postgres: app.postgres,
  catalog: createCatalogService(app),
  defaultPlanKey: 'free',
})

/** What a change may take until every process acts on it. */
const SPREAD_MS = 2000

const send = (process: typeof app, tenant: TestTenant, count = 1) =>
  process.inject(authorized(tenant.writeKey, { method: 'POST', url: '/v1/events', payload: newBatch(count) }))

/** How long it takes from now until a request to every process is answered with the status. */
async function untilAll(tenant: TestTenant, status: number): Promise<number> {
  const startedAtMs = performance.now()
  await Promise.all(
    processes.map((process) =>
      eventually(`a ${status} of every process`, async () => (await send(process, tenant)).statusCode === status),
    ),
  )
  return performance.now() - startedAtMs
}

t.test('a limit, more room and another mode are felt in every process within two seconds', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const process of processes) t.equal((await send(process, alpha)).statusCode, 202)
  const times: Record<string, number> = {}
  await override(app, alpha, 2, 'hard')
  times.limited = await untilAll(alpha, 429)
  await override(app, alpha, 1000, 'hard')
  times.raised = await untilAll(alpha, 202)
  await override(app, alpha, 1, 'hard')
  times.lowered = await untilAll(alpha, 429)
  await override(app, alpha, 1000, 'soft')
  times.soft = await untilAll(alpha, 202)
  t.comment(JSON.stringify(times))
  for (const [name, ms] of Object.entries(times)) t.ok(ms <= SPREAD_MS, `${name}: ${Math.round(ms)} ms`)
  t.equal((await send(other, beta)).statusCode, 202, 'another tenant notices nothing')
})

t.test('writers of two processes together get exactly the limit, and the owner one mail', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await override(app, alpha, 300, 'hard')
  await eventually('the limit', async () =>
    (await send(other, alpha)).headers['ratelimit-policy']?.toString().includes('quota'),
  )
  const before = (await send(app, alpha)).json().accepted
  t.equal(before, 1)
  const writer = async (number: number) => {
    for (let round = 0; round < 8; round++) await send(number % 2 ? app : other, alpha, 7)
  }
  await Promise.all(Array.from({ length: 16 }, (_, number) => writer(number)))
  await eventually('all of them stored', async () => (await storedEvents(app, alpha)).length >= 300)
  t.equal((await storedEvents(app, alpha)).length, 300)
  t.match((await mailbox.next(alpha.email)).subject, /used up/)
})

t.test('a period that ends goes over into the next one without anybody, and what was stopped goes on', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await override(app, alpha, 3, 'hard')
  await untilAll(alpha, 429)
  const { period } = await subscriptions.current(alpha.organizationId)
  t.ok(period)
  await app.postgres.withTenant(alpha.organizationId, (tx) =>
    tx.execute(
      sql`update billing_periods set ends_at = date_trunc('second', now()) + interval '3 s'
          where organization_id = ${alpha.organizationId} and status = 'open'`,
    ),
  )
  await override(app, alpha, 3, 'hard')
  await untilAll(alpha, 202)
  const second = await eventually('the next period', async () => {
    const { period: next } = await subscriptions.current(alpha.organizationId)
    return next !== null && next.id !== period?.id && next
  })
  t.equal(second.number, (period?.number ?? 0) + 1)
  const { rows } = await eventually('the entry', async () => {
    const found = await app.postgres.withSystem((tx) =>
      tx.execute(
        sql`select kind from quota_transitions where organization_id = ${alpha.organizationId} and kind = 'resumed'`,
      ),
    )
    return found.rows.length > 0 && found
  })
  t.equal(rows.length, 1)
})
