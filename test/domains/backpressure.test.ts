import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const BURST = 500
const api = await startTestApp(t, { METERHOUSE_ROLES: 'api', METERHOUSE_SHARDS: '1' })
const { app, environment } = api
const [alpha, beta] = await createTwoTenants(app)
const pid = api.redis.pid()
if (pid === undefined) throw new Error('Redis is not running')

const newBatch = (count: number) =>
  Array.from({ length: count }, () => ({
    event: 'Pressed',
    messageId: randomUUID(),
    timestamp: new Date().toISOString(),
    properties: { filling: 'x'.repeat(1000) },
  }))

const send = ({ writeKey }: TestTenant, events: unknown[], to: FastifyInstance = app) =>
  to.inject(authorized(writeKey, { method: 'POST', url: '/v1/events', payload: events }))

const isReady = async () => (await app.inject({ url: '/health/ready' })).json().checks.ingestion === 'ok'

async function setMemoryLimit(share: number): Promise<void> {
  const used = Number(/^used_memory:(\d+)/m.exec(await app.ingestRedis.info('memory'))?.[1])
  await app.ingestRedis.config('SET', 'maxmemory', share === 0 ? 0 : Math.round(used / share))
}

/** Another process of the same deployment. */
async function startSibling(overrides: Record<string, string>): Promise<FastifyInstance> {
  const sibling = await buildApp(loadConfig({ ...environment, ...overrides }), false)
  await sibling.ready()
  return sibling
}

async function storedCount({ projectId }: TestTenant): Promise<number> {
  const result = await app.clickhouse.client.query({
    query: 'SELECT count() AS count FROM events FINAL WHERE project_id = {projectId:String}',
    query_params: { projectId },
    format: 'JSONEachRow',
  })
  return Number((await result.json<{ count: string }>())[0]?.count)
}

t.test('a buffer that fills up refuses with a time to come back, and drains and takes again by itself', async (t) => {
  const accepted = new Map([
    [alpha, 0],
    [beta, 0],
  ])
  const take = async (tenant: TestTenant, count: number) => {
    const answer = await send(tenant, newBatch(count))
    if (answer.statusCode === 202) accepted.set(tenant, (accepted.get(tenant) ?? 0) + answer.json().accepted)
    return answer
  }
  // So much that what Redis needs for itself is little beside it.
  for (let round = 0; round < 20; round++) await take(alpha, 500)
  await take(beta, 1)
  await setMemoryLimit(0.55)
  const first = await eventually('the first refusal', async () => {
    const answer = await take(alpha, 100)
    return answer.statusCode !== 202 && answer
  })
  t.match(first.json(), { status: 429, code: 'events.over_fair_share' }, 'who fills it waits first')
  t.ok(Number(first.headers['retry-after']) >= 1)
  await setMemoryLimit(0.8)
  await eventually('the reserve', async () => (await take(alpha, 1)).json().code === 'events.buffer_full')
  t.equal((await take(beta, 1)).statusCode, 202, 'which is for who sends little')
  t.ok(await isReady())

  await setMemoryLimit(0.9)
  await eventually('the closing of the door', async () => !(await isReady()))
  for (const tenant of [alpha, beta]) {
    const answer = await take(tenant, 1)
    t.match(answer.json(), { status: 503, code: 'events.buffer_full' })
    t.ok(Number(answer.headers['retry-after']) >= 7)
  }

  await setMemoryLimit(1.2)
  const sink = await startSibling({ METERHOUSE_ROLES: 'sink' })
  t.teardown(() => sink.close())
  await eventually('room for whoever had filled it', async () => (await take(alpha, 1)).statusCode === 202, 30_000)
  t.ok(await isReady())
  for (const [tenant, count] of accepted)
    await eventually('every acknowledged event', async () => (await storedCount(tenant)) === count)
  await setMemoryLimit(0)
  await sink.close()
})

t.test('a flood is refused before its body is sent, and only where it comes from', async (t) => {
  const limited = await startSibling({
    METERHOUSE_ROLES: 'api',
    METERHOUSE_INGEST_EVENTS_PER_SECOND: String(BURST),
  })
  t.teardown(() => limited.close())
  await limited.listen({ host: '127.0.0.1', port: 0 })
  const address = limited.server.address()
  const port = typeof address === 'object' ? address?.port : undefined

  /** Sends the head of a request whose body never comes; the status, or undefined when the server waits for the body. */
  const knock = ({ writeKey }: TestTenant) =>
    new Promise<number | undefined>((resolve) => {
      const headers = {
        authorization: `Bearer ${writeKey}`,
        'content-type': 'application/json',
        'content-length': '1000000',
      }
      const call = request({ host: '127.0.0.1', port, method: 'POST', path: '/v1/events', headers }, (answer) => {
        resolve(answer.statusCode)
        call.destroy()
      })
      call.once('error', () => resolve(undefined))
      call.flushHeaders()
      setTimeout(() => call.destroy(), 300).unref()
    })

  await eventually('the limit', async () => (await send(alpha, newBatch(BURST), limited)).statusCode === 429)
  t.equal(await knock(alpha), 429)
  t.equal(await knock(beta), undefined, 'the other organization is asked for its body')
  t.match((await limited.inject({ url: '/metrics' })).body, /meterhouse_ingest_refusals_total\{reason="burst"\} [1-9]/)
  await eventually('the end of the burst', async () => (await send(alpha, newBatch(1), limited)).statusCode === 202)
  await eventually('nothing in flight', async () =>
    /meterhouse_ingest_in_flight_bytes 0\n/.test((await limited.inject({ url: '/metrics' })).body),
  )
})

t.test('clients that drop their events on a 429 hear of a burst with a 503', async (t) => {
  const limited = await startSibling({
    METERHOUSE_ROLES: 'api',
    METERHOUSE_INGEST_EVENTS_PER_SECOND: String(BURST),
  })
  t.teardown(() => limited.close())
  const capture = ({ writeKey }: TestTenant) =>
    limited.inject({
      method: 'POST',
      url: '/batch/',
      payload: {
        api_key: writeKey,
        batch: [{ event: 'Pressed', distinct_id: 'someone', uuid: randomUUID(), properties: {} }],
      },
    })
  t.equal((await capture(alpha)).statusCode, 200)
  await eventually('the limit', async () => (await send(alpha, newBatch(BURST), limited)).statusCode === 429)
  t.match((await capture(alpha)).json(), { status: 503, code: 'events.burst_exceeded' })
  t.equal((await capture(beta)).statusCode, 200)
})

t.test('a Redis that hangs is answered for with 503 at once, and taken up again when it goes on', async (t) => {
  process.kill(pid, 'SIGSTOP')
  t.teardown(() => process.kill(pid, 'SIGCONT'))
  const first = await send(beta, newBatch(1))
  t.match(first.json(), { status: 503, code: 'events.buffer_unavailable' }, 'never a 202')
  t.ok(Number(first.headers['retry-after']) > 0)
  const elapsedMs = await eventually('an answer without waiting', async () => {
    const startedAt = performance.now()
    const { statusCode } = await send(beta, newBatch(1))
    t.equal(statusCode, 503)
    const elapsedMs = performance.now() - startedAt
    return elapsedMs < 500 && elapsedMs
  })
  t.comment(`${elapsedMs.toFixed(0)} ms`)
  process.kill(pid, 'SIGCONT')
  await eventually('the return', async () => (await send(beta, newBatch(1))).statusCode === 202)
})

t.test('a Redis that cannot write is answered for with 503, never with 202', async (t) => {
  // A limit that leaves no room, seen by admission before the gauge has looked again.
  for (const tenant of [alpha, beta]) {
    await setMemoryLimit(2)
    const answer = await send(tenant, newBatch(1))
    t.match(answer.json(), { status: 503, code: /^events\.buffer_(unavailable|full)$/ })
    t.ok(Number(answer.headers['retry-after']) > 0)
    await setMemoryLimit(0)
    await eventually('the return', async () => (await send(tenant, newBatch(1))).statusCode === 202)
  }
})
