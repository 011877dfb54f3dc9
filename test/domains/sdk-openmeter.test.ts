import { HTTPError, OpenMeter } from '@openmeter/sdk'
import t from 'tap'
import { authorized, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { startRelay, storedCount, storedEvents } from '../helpers/sdk.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const relay = await startRelay(t, app)

const openmeter = (apiKey: string) => new OpenMeter({ baseUrl: relay.url, apiKey })

t.test('every event of the OpenMeter SDK is stored with all that it said, in its own project only', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const client = openmeter(alpha.writeKey)
  const time = new Date('2026-01-02T03:04:05.678Z')
  await client.events.ingest({ type: 'tokens', subject: 'customer-1', data: { total: 1250 }, id: 'a', time })
  await client.events.ingest([
    { type: 'tokens', subject: 'customer-1', data: { total: 1 }, id: 'b', source: '/api/chat' },
    { type: 'tokens', subject: 'customer-2', data: { total: 2 } },
  ])
  const rows = await storedCount(app, alpha.projectId, 3)
  t.match(
    rows.find(({ message_id }) => message_id === '@openmeter/sdk a'),
    {
      event: 'tokens',
      type: 'track',
      user_id: 'customer-1',
      timestamp: '2026-01-02 03:04:05.678',
      properties: { total: 1250 },
      context: { source: '@openmeter/sdk' },
    },
  )
  t.ok(rows.some(({ message_id }) => message_id === '/api/chat b'))
  t.ok(rows.some(({ user_id, properties }) => user_id === 'customer-2' && properties.total === 2))
  t.match(relay.exchanges, [{ path: '/api/v1/events', status: 204, body: '' }, { status: 204 }])
  t.same(await storedEvents(app, beta.projectId), [])
})

t.test('what a program sends again with the OpenMeter SDK after a lost answer is a duplicate', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const event = { type: 'tokens', subject: 'customer-1', data: { total: 1 }, id: 'once', time: new Date() }
  for (const { writeKey, projectId } of [alpha, beta]) {
    relay.loseNextAnswer()
    t.match(
      await openmeter(writeKey)
        .events.ingest(event)
        .catch((error: unknown) => error),
      { status: 503 },
    )
    await openmeter(writeKey).events.ingest(event)
    t.equal((await storedCount(app, projectId, 1)).length, 1)
  }
})

t.test('a refusal reaches the program with its reason', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const refusal = async (key: string, type: string) => {
    try {
      await openmeter(key).events.ingest({ type, subject: 'customer-1', data: {} })
    } catch (error) {
      if (error instanceof HTTPError) return [error.status, error.title, error.type]
      throw error
    }
  }
  const typeOf = (code: string) => `https://meterhouse.dev/problems/${code}`
  t.same(await refusal(`${alpha.writeKey}x`, 'tokens'), [
    401,
    'Credentials are missing or not valid',
    typeOf('auth.unauthenticated'),
  ])
  t.same(await refusal(alpha.apiKey, 'tokens'), [403, 'The credential does not allow this', typeOf('auth.forbidden')])
  t.same(await refusal(alpha.writeKey, 'x'.repeat(201)), [422, 'Every event is invalid', typeOf('events.all_rejected')])
  t.same(await storedEvents(app, alpha.projectId), [])
})

t.test('a list of origins does not keep programs out', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const url = `/v1/projects/${alpha.projectId}`
  const payload = { allowedOrigins: ['https://shop.example'] }
  t.equal(
    (await app.inject(authorized(sessionOf(app, alpha.userId), { method: 'PATCH', url, payload }))).statusCode,
    200,
  )
  await openmeter(alpha.writeKey).events.ingest({ type: 'tokens', subject: 'customer-1', data: {} })
  t.equal((await storedCount(app, alpha.projectId, 1)).length, 1)
})
