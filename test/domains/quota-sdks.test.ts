import { randomUUID } from 'node:crypto'
import t from 'tap'
import { eventually, startTestApp } from '../helpers/app.ts'
import { newBatch, period, startQuotas } from '../helpers/quota.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

// Without the role jobs nobody writes a quota but the test.
const { app } = await startTestApp(t, { METERHOUSE_SHARDS: '1', METERHOUSE_ROLES: 'api,sink' })
const { limit, used, send } = startQuotas(app, 1)

const post = (url: string, payload: object, headers: Record<string, string> = {}) =>
  app.inject({ method: 'POST', url, payload, headers })
const basic = ({ writeKey }: TestTenant) => ({ authorization: `Basic ${btoa(`${writeKey}:`)}` })
const bearer = ({ writeKey }: TestTenant) => ({ authorization: `Bearer ${writeKey}` })
const posthog = (count: number) =>
  Array.from({ length: count }, () => ({ event: 'Sent', distinct_id: 'u', uuid: randomUUID() }))
const refusals = async () =>
  Number(/refusals_total\{reason="quota"\} (\d+)/.exec(await app.metrics.registry.metrics())?.[1] ?? 0)

t.test('Segment hears 429 until all of a batch is taken, and what was taken before is not taken twice', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await limit(alpha, period(2, 'hard'))
  const batch = Array.from({ length: 3 }, () => ({
    type: 'track',
    event: 'Sent',
    userId: 'u',
    messageId: randomUUID(),
  }))
  const partial = await post('/v1/batch', { batch }, basic(alpha))
  t.equal(partial.statusCode, 429)
  t.match(partial.json(), { code: 'billing.quota_exceeded' })
  t.ok(Number(partial.headers['retry-after']) > 0)
  t.equal(await used(alpha), 2)
  await limit(alpha, period(10, 'hard'))
  const whole = await eventually('room again', async () => {
    const answer = await post('/v1/batch', { batch }, basic(alpha))
    return answer.statusCode === 200 && answer
  })
  t.notOk(whole.json().rejected)
  t.equal(await used(alpha), 3)
})

t.test(
  'PostHog hears success and that its quota is used up, with the key in the body or before it is read',
  async (t) => {
    const [alpha] = await createTwoTenants(app)
    await limit(alpha, period(2, 'hard'))
    const sendBatch = (url: string) => post(url, { api_key: alpha.writeKey, batch: posthog(3) })
    const expected = { status: 1, quota_limited: ['events'] }
    const partial = await sendBatch('/batch/')
    t.equal(partial.statusCode, 200)
    t.match(partial.json(), expected)
    t.equal(await used(alpha), 2)
    for (const url of ['/batch/', '/e/']) {
      const refused = await sendBatch(url)
      t.equal(refused.statusCode, 200, refused.body)
      t.match(refused.json(), expected)
    }
    t.equal(await used(alpha), 2)
  },
)

t.test('the second protocol of PostHog hears of each event whether it was dropped', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await limit(alpha, period(1, 'hard'))
  const batch = posthog(2)
  const answer = await post('/i/v1/analytics/events', { batch }, bearer(alpha))
  t.equal(answer.statusCode, 200)
  t.match(answer.json().results, {
    [batch[0]?.uuid ?? '']: { result: 'ok' },
    [batch[1]?.uuid ?? '']: { result: 'drop' },
  })
  t.equal((await post('/i/v1/analytics/events', { batch: posthog(1) }, bearer(alpha))).statusCode, 429)
})

t.test('CloudEvents hear 429, and a pixel is an image whatever becomes of it', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await limit(alpha, period(0, 'hard'))
  const event = { specversion: '1.0', id: randomUUID(), source: '/t', type: 'tokens' }
  t.equal((await post('/api/v1/events', [event], bearer(alpha))).statusCode, 429)
  const data = btoa(JSON.stringify({ writeKey: alpha.writeKey, event: 'Opened', userId: 'u' }))
  const image = await app.inject({ url: `/v1/pixel/track?data=${encodeURIComponent(data)}` })
  t.equal(image.statusCode, 200)
  t.equal(image.headers['content-type'], 'image/gif')
  t.equal(await used(alpha), 0)
})

t.test('who is known to have used up everything is refused before the body is read, and nobody else', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await limit(alpha, period(1, 'hard'))
  await limit(beta, period(1, 'hold'))
  t.equal((await send(alpha, newBatch(2))).statusCode, 202)
  const before = await refusals()
  t.equal((await send(alpha, { not: 'an event' })).statusCode, 429, 'its body would be a 422')
  t.equal(await refusals(), before + 1)
  t.equal((await send(beta, newBatch(2))).statusCode, 202)
  t.match((await send(beta, newBatch(2))).json(), { held: 2 }, 'what is held has to be read')
  t.equal(await refusals(), before + 1)
})
