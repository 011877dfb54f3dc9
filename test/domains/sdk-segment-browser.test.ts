import { fileURLToPath } from 'node:url'
import type { AnalyticsBrowser, AnalyticsBrowserSettings, InitOptions } from '@segment/analytics-next'
import t, { type Test } from 'tap'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { openPage, type Page } from '../helpers/page.ts'
import { sessionOf } from '../helpers/principals.ts'
import { startRelay, storedCount, storedEvents, whileBufferIsAway } from '../helpers/sdk.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const relay = await startRelay(t, app)

const LIBRARY = fileURLToPath(import.meta.resolve('@segment/analytics-next/package.json')).replace(
  'package.json',
  'dist/umd/index.js',
)
const SHOP = 'http://shop.example/cart?utm_source=mail'

interface Shop extends Page {
  analytics: AnalyticsBrowser
}

/** A page with the library, whose only setting is where this server is. */
async function openShop(t: Test, writeKey: string, options: InitOptions = {}, server = relay.url): Promise<Shop> {
  const page = openPage(t, { url: SHOP, server, library: LIBRARY })
  const { AnalyticsNext } = page.window as unknown as {
    AnalyticsNext: {
      AnalyticsBrowser: { load(settings: AnalyticsBrowserSettings, options: InitOptions): AnalyticsBrowser }
    }
  }
  const analytics = AnalyticsNext.AnalyticsBrowser.load({ writeKey, cdnURL: server }, options)
  await analytics.ready()
  return { ...page, analytics }
}

const batching: InitOptions = {
  integrations: { 'Segment.io': { deliveryStrategy: { strategy: 'batching', config: { size: 10, timeout: 100 } } } },
}

const posts = (before: number) => relay.exchanges.slice(before).filter(({ method }) => method === 'POST')

function allAreOurs(t: Test, { requests, complaints }: Page): void {
  t.ok(requests.length > 1)
  t.same(
    requests.filter((url) => !url.startsWith(`${relay.url}/`)),
    [],
    'no request went to another host',
  )
  t.same(complaints, [])
}

for (const [strategy, options, path] of [
  ['one by one', {}, '/v1/t'],
  ['in batches', batching, '/v1/b'],
] as const) {
  t.test(`every call of a page that sends ${strategy} is stored with all that it said`, async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const before = relay.exchanges.length
    const shop = await openShop(t, alpha.writeKey, options)
    const { analytics } = shop
    await analytics.page('Docs', 'Home', { section: 'x' })
    await analytics.track('Order Completed', { revenue: 39.95, currency: 'EUR', ümlaut: '✓' })
    await analytics.identify('user-1', { plan: 'pro' })
    await analytics.group('acme', { seats: 5 })
    await analytics.screen('Start')
    await analytics.alias('user-1', 'anon-0')
    const rows = await storedCount(app, alpha.projectId, 6)
    t.match(
      rows.sort((a, b) => a.event.localeCompare(b.event)),
      [
        { event: 'Group Identified', type: 'group', group_id: 'acme', traits: { seats: 5 } },
        {
          event: 'Order Completed',
          type: 'track',
          message_id: /^ajs-next-/,
          user_id: '',
          anonymous_id: /^[0-9a-f-]{36}$/,
          properties: { revenue: 39.95, currency: 'EUR', ümlaut: '✓' },
          context: {
            library: { name: 'analytics.js', version: /^next-/ },
            page: { url: SHOP, path: '/cart', title: 'Shop' },
            campaign: { source: 'mail' },
          },
        },
        { event: 'Page Viewed', type: 'page', properties: { name: 'Home', category: 'Docs', section: 'x' } },
        { event: 'Screen Viewed', type: 'screen', properties: { name: 'Start' } },
        { event: 'User Aliased', type: 'alias', user_id: 'user-1', properties: { previousId: 'anon-0' } },
        { event: 'User Identified', type: 'identify', user_id: 'user-1', traits: { plan: 'pro' } },
      ],
    )
    t.equal(new Set(rows.map((row) => row.anonymous_id)).size <= 2, true, 'one visitor, and the alias')
    for (const row of rows) t.ok(row.sent_at)
    t.notOk(JSON.stringify(rows).includes(alpha.writeKey), 'the key is not stored')
    t.ok(posts(before).some((exchange) => exchange.path === path))
    t.ok(posts(before).every(({ headers, status }) => headers.origin === 'http://shop.example' && status === 200))
    allAreOurs(t, shop)
    t.same(await storedEvents(app, beta.projectId), [])
  })

  t.test(`what a page sends again after a lost answer is a duplicate (${strategy})`, async (t) => {
    const [alpha] = await createTwoTenants(app)
    const shop = await openShop(t, alpha.writeKey, options)
    const before = relay.exchanges.length
    relay.loseNextAnswer()
    await shop.analytics.track('Once', {}, { messageId: 'once' } as object)
    await eventually('the retry', async () => posts(before).length >= 2)
    t.same(
      posts(before).map(({ status }) => status),
      [200, 200],
    )
    t.equal(posts(before)[1]?.headers['x-retry-count'], '1')
    t.equal((await storedCount(app, alpha.projectId, 1)).length, 1)
    t.equal((await app.metrics.conflicts.get()).values[0]?.value ?? 0, 0, 'the retry says the same')
    allAreOurs(t, shop)
  })
}

t.test('while the buffer is away a page keeps its events and delivers them once', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const shop = await openShop(t, alpha.writeKey)
  const before = relay.exchanges.length
  const sent = Promise.all([1, 2, 3].map((i) => shop.analytics.track('Kept', { i })))
  await whileBufferIsAway(app, relay)
  await sent
  const rows = await storedCount(app, alpha.projectId, 3)
  t.same(rows.map(({ properties }) => properties.i).sort(), [1, 2, 3])
  t.ok(posts(before).some(({ status }) => status === 503))
  allAreOurs(t, shop)
})

t.test('a page that sends too fast is told by 429 when to come back, and comes back', async (t) => {
  const { app: slow } = await startTestApp(t, { METERHOUSE_INGEST_EVENTS_PER_SECOND: '1' })
  const slowRelay = await startRelay(t, slow)
  const [alpha] = await createTwoTenants(slow)
  const shop = await openShop(t, alpha.writeKey, {}, slowRelay.url)
  for (let i = 0; i < 4; i++) void shop.analytics.track('Fast', { i })
  const rows = await storedCount(slow, alpha.projectId, 4)
  t.equal(rows.length, 4)
  t.ok(slowRelay.statuses().includes(429))
})

t.test('what a page cannot mend is refused once: a wrong key, an invalid event', async (t) => {
  const [alpha] = await createTwoTenants(app)
  for (const [key, event, status] of [
    [`${alpha.writeKey.slice(0, -1)}!`, 'Seen', 401],
    [alpha.writeKey, 'x'.repeat(201), 422],
  ] as const) {
    const shop = await openShop(t, key)
    const before = relay.exchanges.length
    await shop.analytics.track(event)
    // A second event shows that the queue is not stuck behind the first.
    await shop.analytics.track(event)
    await eventually('both refusals', async () => posts(before).length > 1)
    t.same(
      posts(before).map((exchange) => [exchange.status, exchange.headers['x-retry-count']]),
      [
        [status, undefined],
        [status, undefined],
      ],
    )
    allAreOurs(t, shop)
  }
  t.same(await storedEvents(app, alpha.projectId), [])
})

t.test('a page of an origin that the project does not list can send nothing', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const url = `/v1/projects/${alpha.projectId}`
  const list = async (origin: string) => {
    const payload = { allowedOrigins: [origin] }
    const answer = await app.inject(authorized(sessionOf(app, alpha.userId), { method: 'PATCH', url, payload }))
    t.equal(answer.statusCode, 200)
  }
  await list('http://elsewhere.example')
  const before = relay.exchanges.length
  const [foreign, others] = [await openShop(t, alpha.writeKey), await openShop(t, beta.writeKey)]
  void foreign.analytics.track('Seen')
  void others.analytics.track('Seen')
  await eventually('the refusal', async () => posts(before).some(({ status }) => status === 403))
  t.equal((await storedCount(app, beta.projectId, 1)).length, 1)
  t.same(await storedEvents(app, alpha.projectId), [])
  // The browser hides the answer from the page, so its library takes it for an outage and goes on trying.
  await list('http://shop.example')
  t.equal((await storedCount(app, alpha.projectId, 1)).length, 1, 'what it kept arrives when the origin is listed')
})

t.test('what a page still holds when it is left is sent on the way out', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const slow = {
    integrations: { 'Segment.io': { deliveryStrategy: { strategy: 'batching', config: { timeout: 60_000 } } } },
  }
  const shop: Shop = await openShop(t, alpha.writeKey, slow as InitOptions)
  void shop.analytics.track('Left', { i: 1 })
  await shop.analytics.track('Left', { i: 2 })
  t.same(await storedEvents(app, alpha.projectId), [])
  shop.window.dispatchEvent(new shop.window.Event('pagehide'))
  t.equal((await storedCount(app, alpha.projectId, 2)).length, 2)
  allAreOurs(t, shop)
})
