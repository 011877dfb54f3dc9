import t from 'tap'
import { IP_POLICIES } from '../../src/domains/events/enrich/ip.ts'
import { AMERICAN, browser, CHROME, enrich, enrichBytes, GERMAN, server } from '../helpers/enrich.ts'

const CONTEXTS: unknown[] = [
  undefined,
  {},
  { ip: GERMAN, page: { url: 'https://shop.example/?utm_source=Größe&utm_term=😀', referrer: 'https://t.co/x' } },
  { page: { url: `https://shop.example/?utm_campaign=${'é'.repeat(190)}` }, webdriver: true },
  { $ip: '2003:e1:1:1::1', $raw_user_agent: 'Mozilla/5.0 (compatible; Googlebot/2.1)', $current_url: 'https://x.y/' },
  { ip: AMERICAN, $geoip_disable: true, userAgent: CHROME },
  { library: { name: 'analytics-ios' }, os: { name: 'iOS', version: '17' }, device: { type: 'ios' } },
  { padding: 'x'.repeat(5000), campaign: { name: 'autumn' } },
]

t.test('the bytes of a row hold the same enrichment, the first time and from memory', async (t) => {
  for (const context of CONTEXTS) {
    for (const ipPolicy of IP_POLICIES) {
      for (const sender of [browser(), server(), browser({}, AMERICAN)]) {
        const request = { ipPolicy, sender, clockSkewMs: -120_000 }
        const expected = enrich(context, request)
        for (let time = 0; time < 2; time++) t.same(enrichBytes(context, request).enrichment, expected)
      }
    }
  }
})

t.test('two senders of the same context are told apart', async (t) => {
  const context = { page: { url: 'https://shop.example/' } }
  t.match(enrichBytes(context, { sender: browser() }).enrichment, { country: 'DE', browser: 'Chrome' })
  t.match(enrichBytes(context, { sender: browser({}, AMERICAN) }).enrichment, { country: 'US' })
  t.match(enrichBytes(context, { sender: server() }).enrichment, { country: '', browser: '' })
})

t.test('the clock of a sender corrects only times that are of it', async (t) => {
  const request = { clockSkewMs: 90_000 }
  t.equal(enrichBytes({}, request, true).enrichment.clockSkewMs, 90_000)
  t.equal(enrichBytes({}, request, false).enrichment.clockSkewMs, 0)
})

t.test('a context is stored as it came, but for an address that the policy does not let be stored', async (t) => {
  const context = { ip: GERMAN, page: { title: 'Größe 😀' } }
  t.equal(enrichBytes(context, { ipPolicy: 'keep' }).context, JSON.stringify(context))
  for (let time = 0; time < 2; time++) {
    const truncated = JSON.stringify({ ip: '91.12.34.0', page: { title: 'Größe 😀' } })
    t.equal(enrichBytes(context, { ipPolicy: 'truncate' }).context, truncated)
    t.equal(enrichBytes(context, { ipPolicy: 'drop' }).context, JSON.stringify({ page: context.page }))
  }
  t.equal(enrichBytes({ page: context.page }, { ipPolicy: 'drop' }).context, JSON.stringify({ page: context.page }))
  t.equal(enrichBytes(undefined, { ipPolicy: 'drop' }).context, '')
})
