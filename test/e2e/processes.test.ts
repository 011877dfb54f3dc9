import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createClickHouse } from '../../src/infra/clickhouse.ts'
import { createPostgres } from '../../src/infra/postgres.ts'
import { eventually } from '../helpers/app.ts'
import { startTestServices } from '../helpers/services.ts'
import { createTenant, type TestTenant } from '../helpers/tenants.ts'

/** A start takes a second, and several of them where other tests run beside this one. */
const START_TIMEOUT_MS = 60_000
const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))
const { environment, config } = await startTestServices(t, { METERHOUSE_LOG_LEVEL: 'info' })

/** The command with its processes, of which the first is the one that was started. */
function start(t: Test, overrides: Record<string, string>) {
  const child = spawn(process.execPath, [SERVER], {
    env: { PATH: process.env.PATH, ...environment, METERHOUSE_LOG_FORMAT: 'json', ...overrides },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return {
    child,
    output: text(child.stdout),
    errors: text(child.stderr),
    ended: new Promise<number | null>((resolve) => child.once('exit', resolve)),
  }
}

const addressOf = (child: ChildProcess) =>
  new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (chunk) => {
      const [found] = String(chunk).match(/http:\/\/[\d.]+:\d+/) ?? []
      if (found) resolve(found)
    })
    child.once('exit', () => reject(new Error('the server ended')))
  })

const childrenOf = (pid: number | undefined) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function send(baseUrl: string, { writeKey }: TestTenant): Promise<number | undefined> {
  const answer = await fetch(`${baseUrl}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${writeKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ event: 'Shared', messageId: randomUUID(), timestamp: new Date().toISOString() }),
    signal: AbortSignal.timeout(5000),
  }).catch(() => undefined)
  await answer?.body?.cancel()
  return answer?.status
}

const metric = async (baseUrl: string, pattern: RegExp) =>
  Number(pattern.exec(await (await fetch(`${baseUrl}/metrics`)).text())?.[1] ?? 0)

t.test('two processes serve one port, one that is killed comes back, and a stop leaves none', async (t) => {
  const server = start(t, { METERHOUSE_PROCESSES: '2' })
  const baseUrl = await addressOf(server.child)
  const ready = async () => (await fetch(`${baseUrl}/health/ready`)).json() as Promise<{ status: string }>
  const answering = async () => metric(baseUrl, /^meterhouse_processes (\d+)/m).catch(() => 0)
  await eventually('every process', async () => (await answering()) === 3, START_TIMEOUT_MS)
  const all = childrenOf(server.child.pid)
  const postgres = createPostgres({ url: config.postgres.url, poolMax: 2 })
  const clickhouse = createClickHouse(config.clickhouse)
  t.teardown(() => Promise.all([postgres.close(), clickhouse.close()]))
  const tenants = await Promise.all([createTenant(postgres), createTenant(postgres)])
  await eventually('readiness', async () => (await ready()).status === 'ready')
  t.match(await ready(), { checks: { processes: 'ok', ingestion: 'ok' } })

  let accepted = 0
  const sendBoth = async () => {
    const statuses = await Promise.all(tenants.map((tenant) => send(baseUrl, tenant)))
    accepted += statuses.filter((status) => status === 202).length
    return statuses.every((status) => status === 202)
  }
  for (let round = 0; round < 10; round++) t.ok(await sendBoth())
  t.equal(
    await metric(baseUrl, /^meterhouse_events_total\{verdict="accepted"\} (\d+)/m),
    20,
    'the metrics are those of all processes, whichever answers',
  )

  const others = () => childrenOf(server.child.pid).filter((pid) => !all.includes(pid))
  const [one, , background] = all
  for (const [index, victim] of [one, background].entries()) {
    if (victim === undefined) throw new Error('there are three processes')
    process.kill(victim, 'SIGKILL')
    await eventually('the end of the process', async () => !isRunning(victim))
    await eventually('requests that go on', sendBoth)
    await eventually('another in its place', async () => others().length === index + 1)
    await eventually('its service', async () => (await answering()) === 3, START_TIMEOUT_MS)
  }
  for (const { projectId } of tenants) {
    await eventually(
      'every acknowledged event',
      async () => {
        const result = await clickhouse.client.query({
          query: 'SELECT count() AS count FROM events FINAL WHERE project_id = {projectId:String}',
          query_params: { projectId },
          format: 'JSONEachRow',
        })
        return Number((await result.json<{ count: string }>())[0]?.count) >= accepted / 2
      },
      30_000,
    )
  }

  const last = childrenOf(server.child.pid)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.same(last.filter(isRunning), [])
})

t.test('a command whose processes cannot start says why once and fails', async (t) => {
  const blocked = start(t, { METERHOUSE_PROCESSES: '2', METERHOUSE_HOST: '203.0.113.1' })
  t.equal(await blocked.ended, 1)
  t.equal((await blocked.output).match(/the server could not start/g)?.length, 1)

  const unmigrated = new URL(config.clickhouse.url)
  unmigrated.pathname = 'default'
  const refused = start(t, { METERHOUSE_PROCESSES: '2', METERHOUSE_CLICKHOUSE_URL: unmigrated.href })
  t.equal(await refused.ended, 1)
  t.equal((await refused.errors).match(/Meterhouse does not start/g)?.length, 1)
})

t.test('when the process that started them is killed, the others end too', async (t) => {
  const server = start(t, { METERHOUSE_PROCESSES: '2' })
  await addressOf(server.child)
  const pids = await eventually(
    'every process',
    async () => {
      const pids = childrenOf(server.child.pid)
      return pids.length === 3 && pids
    },
    START_TIMEOUT_MS,
  )
  server.child.kill('SIGKILL')
  await eventually('the end of all', async () => !pids.some(isRunning))
  t.pass('nobody is left')
})
