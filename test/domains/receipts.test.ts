import t from 'tap'
import { createAdmission } from '../../src/domains/events/admit.ts'
import { bufferKeys, shardOf } from '../../src/domains/events/buffer.ts'
import { packEvents } from '../../src/domains/events/pack.ts'
import { captureApart } from '../../src/domains/events/quarantine-row.ts'
import { issueKey } from '../../src/domains/projects/index.ts'
import { projects } from '../../src/domains/projects/tables.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { keptApart } from '../helpers/quarantine.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app, config } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)
const timestamp = '2026-03-04T05:06:07.000Z'

async function send({ writeKey }: TestTenant, events: object[], on = app): Promise<void> {
  const answer = await on.inject(authorized(writeKey, { method: 'POST', url: '/v1/events', payload: events }))
  if (answer.statusCode !== 202) throw new Error(answer.body)
}

const ask = ({ apiKey }: TestTenant, messageId: string, on = app) =>
  on.inject(authorized(apiKey, { method: 'GET', url: `/v1/events/${encodeURIComponent(messageId)}/receipt` }))

const receiptOf = async (tenant: TestTenant, messageId: string, on = app) => {
  const answer = await ask(tenant, messageId, on)
  if (answer.statusCode !== 200) throw new Error(answer.body)
  return answer.json()
}

/** Another project of the same organization. */
async function makeSibling(tenant: TestTenant): Promise<TestTenant> {
  const { organizationId } = tenant
  const projectId = newId('prj')
  const { key: apiKey } = await app.postgres.withTenant(organizationId, async (tx) => {
    await tx.insert(projects).values({ id: projectId, organizationId, name: 'Sibling' })
    return issueKey(tx, { organizationId, projectId }, { name: 'api', kind: 'api', scopes: ['query:read'] })
  })
  return { ...tenant, projectId, apiKey }
}

const untilStored = (tenant: TestTenant, messageId: string, on = app) =>
  eventually('the storing', async () => {
    const receipt = await receiptOf(tenant, messageId, on)
    return receipt.status === 'stored' && receipt
  })

t.test('a receipt follows an event from the buffer to the store, for its own project alone', async (t) => {
  const services = await startTestApp(t, { METERHOUSE_ROLES: 'api' })
  const [alpha, beta] = await createTwoTenants(services.app)
  t.same(await receiptOf(alpha, 'order-1', services.app), { messageId: 'order-1', status: 'unknown' })
  await send(alpha, [{ event: 'Order', messageId: 'order-1', timestamp }], services.app)
  t.same(await receiptOf(alpha, 'order-1', services.app), { messageId: 'order-1', status: 'buffered' })
  t.same(await receiptOf(beta, 'order-1', services.app), { messageId: 'order-1', status: 'unknown' })
})

t.test('a stored event is found by its id with its name and its times', async (t) => {
  await send(alpha, [{ event: 'Order', messageId: 'order-2', timestamp }])
  const receipt = await untilStored(alpha, 'order-2')
  t.match(receipt, { messageId: 'order-2', status: 'stored', event: 'Order', timestamp, storedCopies: 1 })
  t.ok(Math.abs(Date.parse(receipt.receivedAt) - Date.now()) < 20_000)
  t.same(await receiptOf(beta, 'order-2'), { messageId: 'order-2', status: 'unknown' })
  const sibling = await makeSibling(alpha)
  t.same(await receiptOf(sibling, 'order-2'), { messageId: 'order-2', status: 'unknown' }, 'nor in a project beside it')
})

t.test('the receipt of an event that was sent twice tells of the first copy', async (t) => {
  for (const tenant of [alpha, beta]) await send(tenant, [{ event: 'Order', messageId: 'twice', timestamp }])
  const first = await untilStored(alpha, 'twice')
  await untilStored(beta, 'twice')
  const shard = shardOf(alpha.organizationId, config.ingest.shards)
  await app.ingestRedis.del(...(await app.ingestRedis.keys(`${bufferKeys(shard).marks}*`)))
  await send(alpha, [
    { event: 'Order', messageId: 'twice', timestamp },
    { event: 'Other', messageId: 'after', timestamp },
  ])
  await untilStored(alpha, 'after')
  t.same(await receiptOf(alpha, 'twice'), first)

  await app.ingestRedis.del(...(await app.ingestRedis.keys(`${bufferKeys(shard).marks}*`)))
  await send(alpha, [
    { event: 'Renamed', messageId: 'twice', timestamp },
    { event: 'Other', messageId: 'later', timestamp },
  ])
  await untilStored(alpha, 'later')
  t.same(await receiptOf(alpha, 'twice'), { ...first, storedCopies: 2 }, 'another name is another event')
})

t.test('an id may hold any characters', async (t) => {
  const ids = [
    'a/b?c#d',
    '100 %',
    '%2F',
    "'; DROP TABLE events --",
    '\\\'"`{x:String}',
    'ümlaut – 日本語 😀',
    'tab\tline\nreturn\r',
    '-',
    'receipt',
    '+ &=;',
    '\u0000nul',
    'é'.repeat(200),
    '漢'.repeat(200),
  ]
  await send(
    alpha,
    ids.map((messageId) => ({ event: 'Odd', messageId, timestamp })),
  )
  for (const id of ids) {
    t.match(
      await untilStored(alpha, id),
      { messageId: id, event: 'Odd', storedCopies: 1 },
      JSON.stringify(id.slice(0, 20)),
    )
    t.match(await receiptOf(beta, id), { messageId: id, status: 'unknown' })
  }
  t.equal((await ask(alpha, 'x'.repeat(201))).statusCode >= 400, true, 'and as many as a messageId may have')
})

t.test('an event that was set aside for repair is reported as quarantined', async (t) => {
  const admit = createAdmission({ redis: app.ingestRedis, ...config.ingest })
  const kept = keptApart({ event: 'Order', messageId: 'aside' })
  await admit(alpha, 'quarantine', packEvents([captureApart(alpha, kept)], Date.now()))
  t.match(await receiptOf(alpha, 'aside'), { messageId: 'aside', status: 'quarantined' })
  t.same(await receiptOf(beta, 'aside'), { messageId: 'aside', status: 'unknown' })
  await send(alpha, [{ event: 'Order', messageId: 'aside' }])
  t.equal((await untilStored(alpha, 'aside')).event, 'Order', 'until it is sent in a better form')
})

t.test('an event that the store refused is reported with the reason', async (t) => {
  await app.clickhouse.client.command({ query: `ALTER TABLE events ADD CONSTRAINT sound CHECK event != 'Refused'` })
  t.teardown(() => app.clickhouse.client.command({ query: 'ALTER TABLE events DROP CONSTRAINT sound' }))
  await send(alpha, [{ event: 'Refused', messageId: 'refused' }])
  const receipt = await eventually('the refusal', async () => {
    const found = await receiptOf(alpha, 'refused')
    return found.status === 'rejected' ? found : undefined
  })
  t.match(receipt, {
    messageId: 'refused',
    status: 'rejected',
    event: 'Refused',
    reason: /store\.refused.*VIOLATED_CONSTRAINT/,
  })
  t.same(await receiptOf(beta, 'refused'), { messageId: 'refused', status: 'unknown' })
  const deadLetters = async ({ apiKey, projectId }: TestTenant) =>
    (await app.inject(authorized(apiKey, { url: `/v1/projects/${projectId}/ingestion` }))).json().data.at(-1)
      .deadLetters
  await eventually('the count for its project', async () => (await deadLetters(alpha)) === 1)
  t.equal(await deadLetters(beta), 0)
})
