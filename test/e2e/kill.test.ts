import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import t from 'tap'
import { usageWindows } from '../../src/domains/usage/tables.ts'
import { createClickHouse } from '../../src/infra/clickhouse.ts'
import { createPostgres, type Postgres } from '../../src/infra/postgres.ts'
import { eventually } from '../helpers/app.ts'
import { startDeployment } from '../helpers/deployment.ts'
import { createTenant, type TestTenant } from '../helpers/tenants.ts'

const WRITERS = 4
const BATCH_EVENTS = 25
const RESEND_SHARE = 0.3
const EVENTS_BETWEEN_KILLS = 5000

/** What one tenant tried to send and what was acknowledged, by messageId. */
interface Ledger {
  attempted: Set<string>
  acknowledged: Set<string>
}

t.test('every acknowledged event is there, once, after each process was killed under load', async (t) => {
  const { environment, services, startServer } = await startDeployment(t)
  const [api, sink, jobs] = await Promise.all([startServer('api'), startServer('sink'), startServer('jobs')])
  const postgres = createPostgres({ url: environment.METERHOUSE_POSTGRES_URL, poolMax: 2 })
  const clickhouse = createClickHouse({ url: environment.METERHOUSE_CLICKHOUSE_URL })
  t.teardown(() => Promise.all([postgres.close(), clickhouse.close()]))
  const tenants = await Promise.all([createTenant(postgres), createTenant(postgres)])
  const ledgers = tenants.map(() => ({ attempted: new Set<string>(), acknowledged: new Set<string>() }))

  let loading = true
  const writers = Array.from({ length: WRITERS }, (_, index) => {
    const [tenant, ledger] = [tenants[index % 2], ledgers[index % 2]]
    if (!tenant || !ledger) throw new Error('there are two tenants')
    return write(api.baseUrl, tenant, ledger, () => loading)
  })
  const kills: [string, () => Promise<void>][] = [
    ['the sink', sink.kill],
    ['the server', api.kill],
    ['Redis', async () => killProcess(services.ingestRedis.pid())],
    ['ClickHouse', async () => killProcess(services.clickhouse.pid())],
    ['the sink again', sink.kill],
    ['the counter of usage', jobs.kill],
  ]
  for (const [name, kill] of kills) {
    const before = total(ledgers)
    await eventually(
      `acknowledgements before ${name} is killed`,
      async () => total(ledgers) > before + EVENTS_BETWEEN_KILLS,
      60_000,
    )
    await kill()
    t.comment(`killed ${name} after ${total(ledgers)} acknowledged events`)
  }
  const afterKills = total(ledgers)
  await eventually(
    'acknowledgements after the last kill',
    async () => total(ledgers) > afterKills + EVENTS_BETWEEN_KILLS,
    60_000,
  )
  loading = false
  const resent = (await Promise.all(writers)).reduce((sum, count) => sum + count, 0)

  for (const [index, tenant] of tenants.entries()) {
    const { attempted, acknowledged } = ledgers[index] as Ledger
    const seen = await eventually(
      'the last acknowledged event',
      async () => {
        const ids = await idsOf(clickhouse, tenant.projectId).catch(() => undefined)
        return ids && [...acknowledged].every((id) => ids.includes(id)) && ids
      },
      60_000,
    ).catch(() => idsOf(clickhouse, tenant.projectId))
    const unique = new Set(seen)
    t.comment(`tenant ${index}: ${acknowledged.size} acknowledged, ${seen.length} seen, ${resent} requests sent twice`)
    t.same(
      [...acknowledged].filter((id) => !unique.has(id)),
      [],
      'none lost',
    )
    t.same(
      [...unique].filter((id) => !attempted.has(id)),
      [],
      'no phantom',
    )
    t.equal(seen.length, unique.size, 'no duplicate')
    const billed = () => billedEvents(postgres, tenant)
    await eventually('the usage windows', async () => (await billed()) === unique.size, 30_000).catch(() => undefined)
    t.equal(await billed(), unique.size, 'the usage windows hold each once')
  }
})

async function billedEvents(postgres: Postgres, { organizationId }: TestTenant): Promise<number> {
  const [row] = await postgres.withTenant(organizationId, (tx) =>
    tx.select({ events: sql<string>`coalesce(sum(${usageWindows.events}), 0)` }).from(usageWindows),
  )
  return Number(row?.events)
}

const total = (ledgers: Ledger[]) => ledgers.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0)

function killProcess(pid: number | undefined): void {
  if (pid === undefined) throw new Error('the service is not running')
  process.kill(pid, 'SIGKILL')
}

/** Sends batch after batch, repeating each until it is acknowledged and some of them once more. Resolves to the needless repeats. */
async function write(baseUrl: string, tenant: TestTenant, ledger: Ledger, goesOn: () => boolean): Promise<number> {
  let resent = 0
  while (goesOn()) {
    const batch = Array.from({ length: BATCH_EVENTS }, () => ({
      event: 'Killed',
      messageId: randomUUID(),
      timestamp: new Date().toISOString(),
    }))
    for (const { messageId } of batch) ledger.attempted.add(messageId)
    while (!(await acknowledges(baseUrl, tenant, batch))) await new Promise((resolve) => setTimeout(resolve, 50))
    for (const { messageId } of batch) ledger.acknowledged.add(messageId)
    if (Math.random() < RESEND_SHARE) resent += (await acknowledges(baseUrl, tenant, batch)) ? 1 : 0
  }
  return resent
}

async function acknowledges(baseUrl: string, { writeKey }: TestTenant, batch: unknown[]): Promise<boolean> {
  const answer = await fetch(`${baseUrl}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${writeKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(batch),
    signal: AbortSignal.timeout(5000),
  }).catch(() => undefined)
  await answer?.body?.cancel()
  return answer?.status === 202
}

async function idsOf(clickhouse: ReturnType<typeof createClickHouse>, projectId: string): Promise<string[]> {
  const result = await clickhouse.client.query({
    query: 'SELECT message_id FROM events FINAL WHERE project_id = {projectId:String}',
    query_params: { projectId },
    format: 'JSONCompactEachRow',
  })
  return (await result.json<[string]>()).map(([id]) => id)
}
