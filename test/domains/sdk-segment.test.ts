import { gzipSync } from 'node:zlib'
import Rudder from '@rudderstack/rudder-sdk-node'
import { Analytics } from '@segment/analytics-node'
import t from 'tap'
import { authorized, startTestApp } from '../helpers/app.ts'
import { startRelay, storedCount, storedEvents, whileBufferIsAway } from '../helpers/sdk.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const relay = await startRelay(t, app)

const segment = (writeKey: string) => new Analytics({ writeKey, host: relay.url, flushInterval: 50 })

t.test('every call of the Segment SDK is stored with all that it said, in its own project only', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const analytics = segment(alpha.writeKey)
  const timestamp = new Date('2026-01-02T03:04:05.678Z')
  const who = { userId: 'user-1', timestamp }
  analytics.track({
    ...who,
    event: 'Order Completed',
    messageId: 'a-track',
    properties: { revenue: 39.95 },
    context: { ip: '203.0.113.9', groupId: 'acme' },
    integrations: { All: true, Warehouse: false },
  })
  analytics.identify({ ...who, anonymousId: 'anon-1', messageId: 'b-identify', traits: { plan: 'pro' } })
  analytics.page({ ...who, messageId: 'c-page', name: 'Home', category: 'Docs', properties: { url: '/x' } })
  analytics.screen({ ...who, messageId: 'd-screen', name: 'Start' })
  analytics.group({ ...who, messageId: 'e-group', groupId: 'acme', traits: { seats: 5 } })
  analytics.alias({ ...who, messageId: 'f-alias', previousId: 'anon-1' })
  await analytics.closeAndFlush()

  const rows = await storedCount(app, alpha.projectId, 6)
  t.match(rows, [
    {
      message_id: 'a-track',
      event: 'Order Completed',
      type: 'track',
      user_id: 'user-1',
      group_id: 'acme',
      timestamp: '2026-01-02 03:04:05.678',
      properties: { revenue: 39.95 },
      context: {
        // As the project's policy lets it be kept.
        ip: '203.0.113.0',
        library: { name: '@segment/analytics-node' },
        envelope: { integrations: { All: true, Warehouse: false }, _metadata: { jsRuntime: 'node' } },
      },
    },
    { event: 'User Identified', type: 'identify', anonymous_id: 'anon-1', traits: { plan: 'pro' } },
    { event: 'Page Viewed', type: 'page', properties: { name: 'Home', category: 'Docs', url: '/x' } },
    { event: 'Screen Viewed', type: 'screen', properties: { name: 'Start' } },
    { event: 'Group Identified', type: 'group', group_id: 'acme', traits: { seats: 5 } },
    { event: 'User Aliased', type: 'alias', user_id: 'user-1', properties: { previousId: 'anon-1' } },
  ])
  for (const row of rows) t.ok(row.sent_at, 'the time of sending is kept')
  t.notOk(JSON.stringify(rows).includes(alpha.writeKey), 'the key is not stored')
  t.same(await storedEvents(app, beta.projectId), [])
})

t.test('what the Segment SDK sends again after a lost answer is a duplicate', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const before = relay.exchanges.length
  const other = segment(beta.writeKey)
  other.track({ userId: 'u', event: 'Once', messageId: 'once' })
  await other.closeAndFlush()
  const analytics = segment(alpha.writeKey)
  relay.loseNextAnswer()
  analytics.track({ userId: 'u', event: 'Once', messageId: 'once' })
  analytics.track({ userId: 'u', event: 'Once' })
  await analytics.closeAndFlush()
  t.same(relay.statuses().slice(before), [200, 200, 200], 'beta, the lost one, its retry')
  t.same(relay.exchanges.at(-1)?.headers['x-retry-count'], '1')
  t.equal((await storedCount(app, alpha.projectId, 2)).length, 2)
  t.equal((await storedCount(app, beta.projectId, 1)).length, 1, 'the same id of another tenant is news')
  t.equal(await conflicts(), 0, 'the retry says the same as the first send')
})

t.test('while the buffer is away the Segment SDK keeps its events and delivers them once', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const before = relay.exchanges.length
  const analytics = segment(alpha.writeKey)
  for (let i = 0; i < 5; i++) analytics.track({ userId: 'u', event: 'Kept', properties: { i } })
  await Promise.all([analytics.closeAndFlush(), whileBufferIsAway(app, relay)])
  const statuses = relay.statuses().slice(before)
  t.same([statuses[0], statuses.at(-1)], [503, 200])
  const rows = await storedCount(app, alpha.projectId, 5)
  t.same(rows.map(({ properties }) => properties.i).sort(), [0, 1, 2, 3, 4])
})

t.test('one invalid event does not cost the others, and is told', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const analytics = segment(alpha.writeKey)
  analytics.track({ userId: 'u', event: 'Good', messageId: 'good-1' })
  analytics.track({ userId: 'u', event: 'x'.repeat(201), messageId: 'bad' })
  analytics.track({ userId: 'u', event: 'Good', messageId: 'good-2' })
  await analytics.closeAndFlush()
  const rows = await storedCount(app, alpha.projectId, 2)
  t.same(
    rows.map((row) => row.message_id),
    ['good-1', 'good-2'],
  )
  const answer = relay.exchanges.at(-1)
  t.match(JSON.parse(answer?.body ?? ''), {
    success: true,
    rejected: [{ index: 1, messageId: 'bad', code: 'events.invalid' }],
  })
})

t.test('a wrong key is refused once, and the SDK says so', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const before = relay.exchanges.length
  const analytics = segment(`${alpha.writeKey.slice(0, -1)}!`)
  const errors: unknown[] = []
  analytics.on('error', (error) => errors.push(error))
  analytics.track({ userId: 'u', event: 'Refused' })
  await analytics.closeAndFlush()
  t.same(relay.statuses().slice(before), [401], 'it is not tried again')
  t.match(errors, [{ code: 'delivery_failure' }])
  t.same(await storedEvents(app, alpha.projectId), [])
})

t.test('RudderStack sends gzip as a form, retries what was lost, and every event is stored once', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const before = relay.exchanges.length
  relay.loseNextAnswer()
  for (const { writeKey } of [alpha, beta]) {
    const rudder = new Rudder(writeKey, { dataPlaneUrl: relay.url, flushInterval: 50 })
    rudder.identify({ userId: 'u1', traits: { plan: 'pro' } })
    const timestamp = new Date('2026-01-02T03:04:05.678Z')
    rudder.track({ userId: 'u1', event: 'Order', properties: { revenue: 1.5 }, timestamp })
    await rudder.flush()
    const rows = await storedCount(app, writeKey === alpha.writeKey ? alpha.projectId : beta.projectId, 2)
    t.match(
      rows.sort((a, b) => a.event.localeCompare(b.event)),
      [
        {
          event: 'Order',
          properties: { revenue: 1.5 },
          timestamp: '2026-01-02 03:04:05.678',
          context: { envelope: { channel: 'server', originalTimestamp: /Z$/ } },
        },
        { event: 'User Identified', type: 'identify', context: { traits: { plan: 'pro' } } },
      ],
    )
    t.equal(rows.length, 2)
  }
  const said = relay.exchanges.slice(before)
  t.match(said[0]?.headers, { 'content-type': /form-urlencoded/, 'content-encoding': 'gzip' })
  t.ok(said.length >= 3, 'one answer was lost')
  t.equal(await conflicts(), 0)
})

const call = (url: string, payload: unknown, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'text/plain', ...headers },
    payload: Buffer.isBuffer(payload) ? payload : JSON.stringify(payload),
  })

t.test('each call has an address of its own, long and short, and takes the key from the body', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const types = { track: 't', identify: 'i', page: 'p', screen: 's', group: 'g', alias: 'a' }
  for (const [type, letter] of Object.entries(types)) {
    for (const url of [`/v1/${type}`, `/v1/${letter}`]) {
      const body = { writeKey: alpha.writeKey, event: 'Named', userId: 17, anonymousId: null, messageId: url }
      const answer = await call(url, body)
      t.equal(answer.statusCode, 200, answer.body)
      t.same(answer.json(), { success: true })
    }
  }
  for (const url of ['/v1/batch', '/v1/b', '/v1/import']) {
    const batch = [{ type: 'track', event: 'Named', messageId: url, timestamp: '2026-01-02T03:04:05' }]
    const body = { writeKey: alpha.writeKey, batch, context: { app: 'x' }, integrations: { All: false } }
    t.equal((await call(url, gzipSync(JSON.stringify(body)))).statusCode, 200)
  }
  const rows = await storedCount(app, alpha.projectId, 15)
  t.same([...new Set(rows.map((row) => row.type))].sort(), Object.keys(types).sort())
  t.match(
    rows.find((row) => row.message_id === '/v1/import'),
    { timestamp: '2026-01-02 03:04:05.000', context: { app: 'x', envelope: { integrations: { All: false } } } },
  )
  t.hasStrict(
    rows.find((row) => row.message_id === '/v1/t'),
    { user_id: '17', anonymous_id: '' },
  )
  t.notOk(JSON.stringify(rows).includes(alpha.writeKey))
  t.same(await storedEvents(app, beta.projectId), [])
})

t.test('a key in the body opens nothing that the header would not', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const event = { event: 'Guarded', userId: 'u' }
  const status = async (payload: unknown, headers = {}, url = '/v1/track') =>
    (await call(url, payload, headers)).statusCode
  t.equal(await status(event), 401, 'no key')
  t.equal(await status({ ...event, writeKey: 17 }), 401, 'a key that is no text')
  t.equal(await status({ ...event, writeKey: `${alpha.writeKey}x` }), 401, 'an unknown key')
  t.equal(await status([event]), 401)
  t.equal(await status({ ...event, writeKey: alpha.apiKey }), 403, 'a key that may not write')
  t.equal(await status(event, {}, `/v1/track?writeKey=${alpha.writeKey}`), 400, 'a key in the URL')
  t.equal(await status({ ...event, writeKey: alpha.writeKey }, { authorization: 'Bearer nonsense' }), 401)
  const both = authorized(beta.writeKey, {
    method: 'POST',
    url: '/v1/track',
    payload: { ...event, writeKey: alpha.writeKey },
  })
  t.equal((await app.inject(both)).statusCode, 200, 'the header says who it is')
  t.equal((await storedCount(app, beta.projectId, 1)).length, 1)
  t.same(await storedEvents(app, alpha.projectId), [])
})

t.test('a body that cannot be read is refused with a reason', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const authorization = `Basic ${Buffer.from(`${alpha.writeKey}:`).toString('base64')}`
  const code = async (payload: unknown, url = '/v1/batch') => {
    const answer = await call(url, payload, { authorization })
    return [answer.statusCode, answer.json().code]
  }
  t.same(await code(Buffer.from('{"batch":')), [400, 'events.body_not_json'])
  t.same(await code(Buffer.from([0x1f, 0x8b, 1, 2, 3])), [400, 'events.body_not_decodable'])
  t.same(await code(Buffer.from([0x22, 0xff, 0x22])), [400, 'events.body_not_decodable'])
  t.same(await code({ batch: 'none' }), [400, 'request.invalid'])
  t.same(await code({ batch: [] }), [400, 'events.body_empty'])
  t.same(await code(gzipSync(Buffer.alloc(11 * 1024 * 1024, ' '))), [413, 'events.body_too_large'])
  t.same(await code({ batch: Array.from({ length: 2001 }, () => ({})) }), [413, 'events.too_many'])
  t.same(await code('text', '/v1/track'), [422, 'events.all_rejected'])
  t.same(await code({ event: 'x', timestamp: 'yesterday' }, '/v1/track'), [422, 'events.all_rejected'])
})

t.test('a retry of the browser library, which counts its attempts, is a duplicate', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const [retryCount, sentAt] of [
    [0, '2026-01-02T03:04:05Z'],
    [1, '2026-01-02T03:04:35Z'],
  ]) {
    for (const { writeKey } of [alpha, beta]) {
      const event = { event: 'Counted', messageId: 'ajs-1', sentAt, _metadata: { retryCount, bundled: ['Segment.io'] } }
      t.equal((await call('/v1/t', { ...event, writeKey, originalTimestamp: '2026-01-02T03:04:04Z' })).statusCode, 200)
    }
  }
  for (const { projectId } of [alpha, beta]) {
    const [row, ...others] = await storedCount(app, projectId, 1)
    t.match(row, {
      timestamp: '2026-01-02 03:04:04.000',
      context: { envelope: { _metadata: { bundled: ['Segment.io'] } } },
    })
    t.same(others, [])
  }
  t.equal(await conflicts(), 0)
})

t.test('what browsers ask for first names this server, by the address that they have reached', async (t) => {
  const settings = async (host: string, publicUrl?: string) => {
    const { app: server } = publicUrl ? await startTestApp(t, { METERHOUSE_PUBLIC_URL: publicUrl }) : { app }
    const answer = await server.inject({ method: 'GET', url: '/v1/projects/mh_write_x/settings', headers: { host } })
    t.equal(answer.statusCode, 200)
    return answer.json()
  }
  t.same(await settings('events.example:8080'), {
    integrations: { 'Segment.io': { apiKey: 'mh_write_x', apiHost: 'events.example:8080/v1', protocol: 'http' } },
    metrics: { sampleRate: 0 },
  })
  const behindTls = await settings('events.example', 'https://events.example')
  t.match(behindTls.integrations['Segment.io'], { apiHost: 'events.example/v1', protocol: 'https' })
  const source = (await app.inject({ method: 'GET', url: '/sourceConfig?p=npm&v=3' })).json().source
  t.match(source, { id: String, enabled: true, destinations: [], config: Object })
})

async function conflicts(): Promise<number> {
  const { values } = await app.metrics.conflicts.get()
  return values.reduce((sum, { value }) => sum + value, 0)
}
