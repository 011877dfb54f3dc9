import t from 'tap'
import { createClickHouse } from '../../src/infra/clickhouse.ts'
import { createPostgres } from '../../src/infra/postgres.ts'
import { eventually } from '../helpers/app.ts'
import { startDeployment } from '../helpers/deployment.ts'
import { newBatch, override } from '../helpers/quota.ts'
import { createTenant, type TestTenant } from '../helpers/tenants.ts'

const LIMIT = 4000
const BATCH_EVENTS = 7
const WRITERS = 16

t.test(
  'a hard limit is met exactly although Redis and the server are killed while sixteen write against it',
  async (t) => {
    const { environment, services, startServer } = await startDeployment(t)
    const api = await startServer('all')
    const postgres = createPostgres({ url: environment.METERHOUSE_POSTGRES_URL, poolMax: 2 })
    const clickhouse = createClickHouse({ url: environment.METERHOUSE_CLICKHOUSE_URL })
    t.teardown(() => Promise.all([postgres.close(), clickhouse.close()]))
    const tenant = await createTenant(postgres)
    await override({ postgres }, tenant, LIMIT, 'hard')
    await eventually('the limit', async () => (await send(api.baseUrl, tenant, 1))?.limits.includes('"quota"'), 30_000)

    let accepted = 0
    let stopped = 0
    const writers = Array.from({ length: WRITERS }, async () => {
      for (;;) {
        const batch = newBatch(BATCH_EVENTS)
        // Again and again until there is an answer, as a client does that waits for one.
        const answer = await eventually('an answer', () => send(api.baseUrl, tenant, batch), 60_000)
        accepted += answer.accepted
        if (answer.status === 429) break
      }
      stopped += 1
    })
    for (const kill of [async () => killProcess(services.ingestRedis.pid()), api.kill]) {
      const before = accepted
      await eventually('events before the kill', async () => accepted > before + LIMIT / 8, 60_000)
      await kill()
      t.ok(stopped === 0, `killed after ${accepted} of ${LIMIT}`)
    }
    await Promise.all(writers)
    const count = async () => {
      const answer = await clickhouse.client.query({
        query: 'SELECT toUInt32(count()) AS events FROM events FINAL WHERE project_id = {projectId:String}',
        query_params: { projectId: tenant.projectId },
        format: 'JSONEachRow',
      })
      return (await answer.json<{ events: number }>())[0]?.events ?? 0
    }
    await eventually('all of them stored', async () => (await count()) >= LIMIT, 60_000).catch(() => undefined)
    t.equal(await count(), LIMIT)
  },
)

interface Answer {
  status: number
  accepted: number
  limits: string
}

/** Undefined where nobody says what became of the events. */
async function send(baseUrl: string, { writeKey }: TestTenant, events: number | object[]): Promise<Answer | undefined> {
  const batch = typeof events === 'number' ? newBatch(events) : events
  try {
    const answer = await fetch(`${baseUrl}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${writeKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(batch),
      signal: AbortSignal.timeout(5000),
    })
    const body = (await answer.json()) as { accepted?: number; code?: string }
    if (answer.status !== 202 && body.code !== 'billing.quota_exceeded') return undefined
    const limits = answer.headers.get('ratelimit-policy') ?? ''
    return { status: answer.status, accepted: body.accepted ?? 0, limits }
  } catch {
    // The connection broke, or the server is away.
    return undefined
  }
}

function killProcess(pid: number | undefined): void {
  if (pid === undefined) throw new Error('the service is not running')
  process.kill(pid, 'SIGKILL')
}
