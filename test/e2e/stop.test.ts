import { randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import t from 'tap'
import { createClickHouse } from '../../src/infra/clickhouse.ts'
import { createPostgres } from '../../src/infra/postgres.ts'
import { eventually } from '../helpers/app.ts'
import { startDeployment } from '../helpers/deployment.ts'
import { createTenant } from '../helpers/tenants.ts'

const CLIENTS = 20

/** Sends one event over a kept-alive connection; the status, or undefined when the connection was refused or broken. */
function send(agent: Agent, baseUrl: string, writeKey: string, messageId: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${writeKey}`, 'content-type': 'application/json' }
    const call = request(`${baseUrl}/v1/events`, { method: 'POST', agent, headers }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode))
      answer.once('error', () => resolve(undefined))
    })
    call.once('error', () => resolve(undefined))
    call.end(JSON.stringify({ event: 'Stopped', messageId, timestamp: new Date().toISOString() }))
  })
}

t.test(
  'a server that is asked to stop under load exits cleanly and keeps everything that it acknowledged',
  async (t) => {
    const { environment, startServer } = await startDeployment(t)
    const server = await startServer('all')
    const postgres = createPostgres({ url: environment.METERHOUSE_POSTGRES_URL, poolMax: 2 })
    const clickhouse = createClickHouse({ url: environment.METERHOUSE_CLICKHOUSE_URL })
    t.teardown(() => Promise.all([postgres.close(), clickhouse.close()]))
    const tenants = await Promise.all([createTenant(postgres), createTenant(postgres)])

    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    const acknowledged = tenants.map(() => new Set<string>())
    const statuses = new Map<number | undefined, number>()
    let goesOn = true
    const clients = Array.from({ length: CLIENTS }, async (_, index) => {
      const [tenant, ledger] = [tenants[index % 2], acknowledged[index % 2]]
      while (goesOn && tenant && ledger) {
        const messageId = randomUUID()
        const status = await send(agent, server.baseUrl, tenant.writeKey, messageId)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        if (status === 202) ledger.add(messageId)
        if (status === undefined) return
      }
    })
    await eventually('some load', async () => (acknowledged[0]?.size ?? 0) > 500, 30_000)
    const startedAt = performance.now()
    const code = await server.stop()
    const elapsedMs = performance.now() - startedAt
    goesOn = false
    await Promise.all(clients)
    t.comment(`stopped in ${elapsedMs.toFixed(0)} ms; answers ${JSON.stringify([...statuses])}`)
    t.equal(code, 0)
    t.ok(elapsedMs < 10_000)
    t.same(
      [...statuses.keys()].filter((status) => status !== undefined && status !== 202 && status !== 503),
      [],
      'no other answer',
    )

    await startServer('sink')
    for (const [index, tenant] of tenants.entries()) {
      const ids = acknowledged[index] ?? new Set()
      await eventually(
        'every acknowledged event',
        async () => {
          const result = await clickhouse.client.query({
            query: 'SELECT message_id FROM events FINAL WHERE project_id = {projectId:String}',
            query_params: { projectId: tenant.projectId },
            format: 'JSONCompactEachRow',
          })
          const stored = (await result.json<[string]>()).map(([id]) => id)
          return [...ids].every((id) => stored.includes(id)) && stored.length === new Set(stored).size
        },
        30_000,
      )
      t.pass(`${ids.size} acknowledged events are there, once`)
    }
  },
)
