import { gzipSync } from 'node:zlib'
import { PostHog } from 'posthog-node'
import t from 'tap'
import { eventually, startTestApp } from '../helpers/app.ts'
import { startRelay, storedCount, storedEvents, whileBufferIsAway } from '../helpers/sdk.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const relay = await startRelay(t, app)

const OPTIONS = { flushAt: 100, flushInterval: 60_000, fetchRetryDelay: 100 }

/** The SDK reads from the environment which version of the protocol it speaks, when it is made. */
function posthog(writeKey: string, version: 'v0' | 'v1' = 'v0') {
  process.env.POSTHOG_CAPTURE_MODE = version
  const client = new PostHog(writeKey, { host: relay.url, ...OPTIONS })
  const errors: unknown[] = []
  client.on('error', (error) => errors.push(error))
  return { client, errors }
}

for (const [version, path] of [
  ['v0', '/batch/'],
  ['v1', '/i/v1/analytics/events'],
] as const) {
  t.test(
    `every call of the PostHog SDK (${version}) is stored with all that it said, in its own project only`,
    async (t) => {
      const [alpha, beta] = await createTwoTenants(app)
      const before = relay.exchanges.length
      const { client, errors } = posthog(alpha.writeKey, version)
      const timestamp = new Date('2026-01-02T03:04:05.678Z')
      const uuid = '0193b0c2-7d1e-7aaa-8000-3f2c6c1d9e55'
      client.capture({
        distinctId: 'user-1',
        event: 'order',
        uuid,
        timestamp,
        properties: { revenue: 1.5, $current_url: 'https://shop.example/x' },
        groups: { company: 'acme' },
      })
      client.identify({ distinctId: 'user-1', properties: { plan: 'pro' } })
      client.groupIdentify({ groupType: 'company', groupKey: 'acme', properties: { seats: 5 } })
      client.alias({ distinctId: 'user-1', alias: 'anon-1' })
      await client.shutdown()
      t.same(errors, [])
      t.match(relay.exchanges.slice(before), [{ path, status: 200, headers: { 'content-encoding': 'gzip' } }])

      const rows = await storedCount(app, alpha.projectId, 4)
      t.match(
        rows.sort((a, b) => a.event.localeCompare(b.event)),
        [
          { event: '$create_alias', type: 'alias', properties: { alias: 'anon-1' } },
          { event: '$groupidentify', type: 'group', user_id: '', group_id: 'acme', traits: { seats: 5 } },
          { event: '$identify', type: 'identify', user_id: 'user-1', traits: { plan: 'pro' } },
          {
            message_id: uuid,
            event: 'order',
            type: 'track',
            user_id: 'user-1',
            group_id: 'acme',
            timestamp: '2026-01-02 03:04:05.678',
            properties: { revenue: 1.5 },
            context: { $current_url: 'https://shop.example/x', $groups: { company: 'acme' } },
          },
        ],
      )
      t.same(rows.at(-1)?.properties, { revenue: 1.5 }, "the SDK's own properties are context")
      for (const row of rows) t.ok(row.sent_at)
      t.notOk(JSON.stringify(rows).includes(alpha.writeKey), 'the key is not stored')
      t.same(await storedEvents(app, beta.projectId), [])
    },
  )

  t.test(`what the PostHog SDK (${version}) sends again after a lost answer is a duplicate`, async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const uuid = '0193b0c2-7d1e-7aaa-8000-3f2c6c1d9e55'
    for (const tenant of [alpha, beta]) {
      const before = relay.exchanges.length
      const { client, errors } = posthog(tenant.writeKey, version)
      client.capture({ distinctId: 'u', event: 'Once', uuid })
      client.capture({ distinctId: 'u', event: 'Once' })
      relay.loseNextAnswer()
      await client.shutdown()
      t.same(errors, [])
      t.same(relay.statuses().slice(before), [200, 200], 'the lost one and its retry')
      t.equal((await storedCount(app, tenant.projectId, 2)).length, 2)
    }
    t.equal(await conflicts(), 0, 'the retry says the same as the first send')
  })

  t.test(`while the buffer is away the PostHog SDK (${version}) keeps its events and delivers them once`, async (t) => {
    const [alpha] = await createTwoTenants(app)
    const before = relay.exchanges.length
    const { client, errors } = posthog(alpha.writeKey, version)
    for (let i = 0; i < 5; i++) client.capture({ distinctId: 'u', event: 'Kept', properties: { i } })
    await Promise.all([client.shutdown(), whileBufferIsAway(app, relay)])
    t.same(errors, [])
    const statuses = relay.statuses().slice(before)
    t.same([statuses[0], statuses.at(-1)], [503, 200])
    const rows = await storedCount(app, alpha.projectId, 5)
    t.same(rows.map(({ properties }) => properties.i).sort(), [0, 1, 2, 3, 4])
  })

  t.test(`one invalid event does not cost the PostHog SDK (${version}) the others`, async (t) => {
    const [alpha] = await createTwoTenants(app)
    const { client, errors } = posthog(alpha.writeKey, version)
    client.capture({ distinctId: 'u', event: 'Good' })
    client.capture({ distinctId: 'u', event: 'x'.repeat(201) })
    client.capture({ distinctId: 'u', event: 'Good' })
    await client.shutdown()
    t.equal((await storedCount(app, alpha.projectId, 2)).length, 2)
    if (version === 'v1') t.match(errors, [{ drops: [{ details: /event/ }] }], 'the SDK reports the one')
    else t.match(JSON.parse(relay.exchanges.at(-1)?.body ?? ''), { status: 1, rejected: [{ index: 1 }] })
  })

  t.test(`a wrong key is refused once, and the PostHog SDK (${version}) says so`, async (t) => {
    const [alpha] = await createTwoTenants(app)
    const before = relay.exchanges.length
    const { client, errors } = posthog(`${alpha.writeKey.slice(0, -1)}!`, version)
    client.capture({ distinctId: 'u', event: 'Refused' })
    await client.shutdown()
    t.same(relay.statuses().slice(before), [401], 'it is not tried again')
    t.equal(errors.length, 1)
    t.same(await storedEvents(app, alpha.projectId), [])
  })
}

t.test('flags that the PostHog SDK asks for are none, without an error', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const { client, errors } = posthog(alpha.writeKey)
  t.same(await client.getAllFlags('user-1'), {})
  await client.shutdown()
  t.same(errors, [])
})

const call = (url: string, payload: string | Buffer, contentType = 'text/plain') =>
  app.inject({ method: 'POST', url, headers: { 'content-type': contentType }, payload })

t.test('every form in which the browser library sends is read, and answered with exactly 200', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const event = (uuid: string) => ({
    event: '$pageview',
    uuid,
    properties: {
      token: alpha.writeKey,
      distinct_id: 'anon-1',
      $is_identified: false,
      $device_id: 'device-1',
      title: 'Home',
    },
  })
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')
  const form = 'application/x-www-form-urlencoded'
  const answers = [
    await call(
      '/e/?ip=0&_=1700000000000',
      gzipSync(JSON.stringify({ api_key: alpha.writeKey, batch: [event('w-1')] })),
    ),
    await call('/e/?compression=gzip-js', gzipSync(JSON.stringify([event('w-2')]))),
    await call('/e/?compression=base64', `data=${encodeURIComponent(base64(event('w-3')))}`, form),
    await call('/i/v0/e/', JSON.stringify(event('w-4')), 'application/json'),
    await call('/capture/', `data=${base64(event('w-5'))}`, form),
    await call('/e/', `data=${encodeURIComponent(JSON.stringify({ ...event('w-6'), offset: 250 }))}`, form),
    await call('/e/', `data=${encodeURIComponent(JSON.stringify({ ...event('w-6'), offset: 3250 }))}`, form),
  ]
  for (const answer of answers) t.same([answer.statusCode, answer.body], [200, '{"status":1}'])
  const rows = await storedCount(app, alpha.projectId, 6)
  t.equal(rows.length, 6)
  for (const row of rows) {
    t.match(row, {
      event: '$pageview',
      type: 'page',
      user_id: '',
      anonymous_id: 'anon-1',
      properties: { title: 'Home' },
    })
  }
  t.notOk(JSON.stringify(rows).includes(alpha.writeKey))
  t.equal(await conflicts(), 0, 'the age of an event is not its content')
  t.same(await storedEvents(app, beta.projectId), [])
})

t.test('a name that every object has is a name like any other, and one that harms is refused', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const send = async (event: string) => (await call('/e/', `{"api_key":"${alpha.writeKey}",${event}}`)).statusCode
  t.equal(await send('"event":"constructor","uuid":"c-1","properties":{"toString":1}'), 200)
  t.match(await storedCount(app, alpha.projectId, 1), [
    { event: 'constructor', type: 'track', properties: { toString: 1 } },
  ])
  t.equal(await send('"event":"x","properties":{"__proto__":{"a":1}}'), 422)
  t.equal(await send('"event":"x","$set":{"__proto__":{"a":1}}'), 422)
})

t.test('a body without a valid key is refused', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const status = async (body: unknown) => (await call('/e/', JSON.stringify(body))).statusCode
  const event = { event: 'x', distinct_id: 'u' }
  t.equal(await status(event), 401)
  t.equal(await status({ ...event, api_key: `${alpha.writeKey}x` }), 401)
  t.equal(await status({ ...event, api_key: alpha.apiKey }), 403)
  t.equal(await status([]), 401)
  t.equal(await status({ api_key: alpha.writeKey, batch: 'none' }), 400)
  t.equal((await call(`/e/?token=${alpha.writeKey}`, JSON.stringify(event))).statusCode, 400, 'a key in the URL')
})

t.test('too many events a second are told so that each version of the protocol sends them again', async (t) => {
  const { app: slow } = await startTestApp(t, { METERHOUSE_INGEST_EVENTS_PER_SECOND: '1' })
  const [alpha] = await createTwoTenants(slow)
  let sent = 0
  const send = (url: string) =>
    slow.inject({
      method: 'POST',
      url,
      headers: url === '/batch/' ? {} : { authorization: `Bearer ${alpha.writeKey}` },
      payload: { api_key: alpha.writeKey, batch: [{ event: 'x', distinct_id: 'u', uuid: `burst-${sent++}` }] },
    })
  for (const [url, status] of [
    ['/batch/', 503],
    ['/i/v1/analytics/events', 429],
  ] as const) {
    const answer = await eventually('a refusal', async () => {
      const one = await send(url)
      return one.statusCode !== 200 && one
    })
    t.equal(answer.statusCode, status, answer.body)
    t.equal(answer.json().code, 'events.burst_exceeded')
    t.ok(Number(answer.headers['retry-after']) >= 1)
  }
})

t.test('the configuration that the browser library asks for is read by it', async (t) => {
  const script = await app.inject({ method: 'GET', url: '/array/mh_write_x/config.js' })
  t.match(script.headers['content-type'], /^text\/javascript/)
  const window: { _POSTHOG_REMOTE_CONFIG?: Record<string, unknown> } = {}
  new Function('window', script.body)(window)
  const config = (await app.inject({ method: 'GET', url: '/array/mh_write_x/config' })).json()
  t.same(window._POSTHOG_REMOTE_CONFIG, { mh_write_x: { config, siteApps: [] } })
  const hostile = await app.inject({
    method: 'GET',
    url: `/array/${encodeURIComponent('"];alert(1)//</script>')}/config.js`,
  })
  t.notMatch(hostile.body, /<\/script|[^\\]"\];alert/)
  t.equal((await app.inject({ method: 'GET', url: '/flags/definitions?send_cohorts' })).statusCode, 200)
})

async function conflicts(): Promise<number> {
  const { values } = await app.metrics.conflicts.get()
  return values.reduce((sum, { value }) => sum + value, 0)
}
