import { fileURLToPath } from 'node:url'
import type { PostHog, PostHogConfig } from 'posthog-js'
import t, { type Test } from 'tap'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { openPage, type Page } from '../helpers/page.ts'
import { sessionOf } from '../helpers/principals.ts'
import { startRelay, storedCount, storedEvents, whileBufferIsAway } from '../helpers/sdk.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const relay = await startRelay(t, app)

const LIBRARY = fileURLToPath(import.meta.resolve('posthog-js/dist/array.js'))
const SHOP = 'http://shop.example/cart?utm_source=mail'

interface Shop extends Page {
  posthog: PostHog
}

/** A page with the library, whose only setting is where this server is; and an interval, so that nobody waits three seconds. */
async function openShop(t: Test, key: string, options: Partial<PostHogConfig> = {}, server = relay.url): Promise<Shop> {
  const page = openPage(t, { url: SHOP, server, library: LIBRARY })
  const { posthog } = page.window as unknown as { posthog: PostHog }
  await new Promise<void>((resolve) =>
    posthog.init(key, {
      api_host: server,
      request_queue_config: { flush_interval_ms: 250 },
      loaded: () => resolve(),
      ...options,
    }),
  )
  return { ...page, posthog }
}

const sends = (before: number) =>
  relay.exchanges.slice(before).filter(({ method, path }) => method === 'POST' && path.startsWith('/e/'))

function allAreOurs(t: Test, { requests, complaints }: Page): void {
  t.ok(requests.length > 1)
  t.same(
    requests.filter((url) => !url.startsWith(`${relay.url}/`)),
    [],
    'no request went to another host',
  )
  t.same(complaints, [])
}

t.test('what a page with the library does is stored with all that it said', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const before = relay.exchanges.length
  const shop = await openShop(t, alpha.writeKey)
  const { posthog } = shop
  posthog.capture('order', { revenue: 1.5, ümlaut: '✓' })
  posthog.identify('user-1', { plan: 'pro' })
  posthog.group('company', 'acme', { seats: 5 })
  posthog.alias('user-one')
  const rows = (await storedCount(app, alpha.projectId, 5)).sort((a, b) => a.event.localeCompare(b.event))
  t.match(rows, [
    { event: '$create_alias', type: 'alias', user_id: 'user-1', properties: { alias: 'user-one' } },
    { event: '$groupidentify', type: 'group', group_id: 'acme', traits: { seats: 5 } },
    { event: '$identify', type: 'identify', user_id: 'user-1', traits: { plan: 'pro' } },
    { event: '$pageview', type: 'page', properties: { title: 'Shop' } },
    {
      event: 'order',
      type: 'track',
      message_id: /^[0-9a-f]{8}-[0-9a-f]{4}-7/,
      user_id: '',
      properties: { revenue: 1.5, ümlaut: '✓', utm_source: 'mail' },
      context: { $lib: 'web', $current_url: SHOP, $session_id: String },
    },
  ])
  t.equal(new Set(rows.map((row) => row.anonymous_id)).size, 1, 'one visitor')
  for (const row of rows) t.ok(row.anonymous_id && row.sent_at)
  t.notOk(JSON.stringify(rows).includes(alpha.writeKey), 'the key is not stored')
  for (const { headers, sent, status } of sends(before)) {
    t.match([status, headers['content-type'], headers.origin], [200, 'text/plain', 'http://shop.example'])
    t.same([...sent.subarray(0, 2)], [0x1f, 0x8b], 'gzip without a word about it')
  }
  t.notOk(
    relay.exchanges.slice(before).some(({ method }) => method === 'OPTIONS'),
    'nothing needs a preflight',
  )
  allAreOurs(t, shop)
  t.same(await storedEvents(app, beta.projectId), [])
})

const QUIET = { capture_pageview: false, capture_pageleave: false } as const

t.test('what a page sends again after a lost answer is a duplicate', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const shop = await openShop(t, alpha.writeKey, QUIET)
  const before = relay.exchanges.length
  relay.loseNextAnswer()
  shop.posthog.capture('Once')
  await eventually('the retry', async () => sends(before).length >= 2)
  t.match(sends(before), [{ status: 200 }, { status: 200, path: /retry_count=1/ }])
  t.equal((await storedCount(app, alpha.projectId, 1)).length, 1)
  t.equal((await app.metrics.conflicts.get()).values[0]?.value ?? 0, 0, 'the retry says the same')
  allAreOurs(t, shop)
})

t.test('while the buffer is away a page keeps its events and delivers them once', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const shop = await openShop(t, alpha.writeKey, QUIET)
  const before = relay.exchanges.length
  for (const i of [1, 2, 3]) shop.posthog.capture('Kept', { i })
  await whileBufferIsAway(app, relay)
  const rows = await storedCount(app, alpha.projectId, 3)
  t.same(rows.map(({ properties }) => properties.i).sort(), [1, 2, 3])
  t.equal(sends(before)[0]?.status, 503)
  allAreOurs(t, shop)
})

t.test('a page that sends too fast is told so that its library comes back', async (t) => {
  const { app: slow } = await startTestApp(t, { METERHOUSE_INGEST_EVENTS_PER_SECOND: '1' })
  const slowRelay = await startRelay(t, slow)
  const [alpha] = await createTwoTenants(slow)
  const { posthog } = await openShop(t, alpha.writeKey, QUIET, slowRelay.url)
  for (const i of [1, 2]) posthog.capture('Fast', { i }, { send_instantly: true })
  t.equal((await storedCount(slow, alpha.projectId, 2)).length, 2)
  t.ok(slowRelay.statuses().includes(503))
  t.notOk(slowRelay.statuses().includes(429), 'it would drop the events')
})

t.test('what a page cannot mend is refused once: a wrong key, an invalid event', async (t) => {
  const [alpha] = await createTwoTenants(app)
  for (const [key, event, status] of [
    [`${alpha.writeKey.slice(0, -1)}!`, 'Seen', 401],
    [alpha.writeKey, 'x'.repeat(201), 422],
  ] as const) {
    const shop = await openShop(t, key, QUIET)
    const before = relay.exchanges.length
    for (const count of [1, 2]) {
      shop.posthog.capture(event, {}, { send_instantly: true })
      await eventually('the refusal', async () => sends(before).length >= count)
    }
    t.same(
      sends(before).map((exchange) => [exchange.status, exchange.path.includes('retry_count')]),
      [
        [status, false],
        [status, false],
      ],
    )
    allAreOurs(t, shop)
  }
  t.same(await storedEvents(app, alpha.projectId), [])
})

t.test('a page of an origin that the project does not list can send nothing, not even on its way out', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const url = `/v1/projects/${alpha.projectId}`
  const payload = { allowedOrigins: ['http://elsewhere.example'] }
  t.equal(
    (await app.inject(authorized(sessionOf(app, alpha.userId), { method: 'PATCH', url, payload }))).statusCode,
    200,
  )
  const before = relay.exchanges.length
  for (const { writeKey } of [alpha, beta]) {
    const { posthog, window } = await openShop(t, writeKey, QUIET)
    posthog.capture('Seen', {}, { send_instantly: true })
    posthog.capture('Left')
    window.dispatchEvent(new window.Event('pagehide'))
  }
  t.equal((await storedCount(app, beta.projectId, 2)).length, 2)
  await eventually('both refusals', async () => sends(before).filter(({ status }) => status === 403).length >= 2)
  t.same(await storedEvents(app, alpha.projectId), [])
})

t.test('what a page still holds when it is left is sent as a beacon', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const { writeKey, projectId } of [alpha, beta]) {
    const before = relay.exchanges.length
    const shop = await openShop(t, writeKey, { request_queue_config: { flush_interval_ms: 5000 } })
    shop.posthog.capture('Left', { i: 1 })
    shop.window.dispatchEvent(new shop.window.Event('pagehide'))
    const rows = await storedCount(app, projectId, 3)
    t.same(rows.map(({ event }) => event).sort(), ['$pageleave', '$pageview', 'Left'])
    t.ok(
      sends(before).some(({ headers }) => headers.cookie === 'session=1' && !headers.authorization),
      'without a header of its own, with a cookie',
    )
    allAreOurs(t, shop)
  }
})
