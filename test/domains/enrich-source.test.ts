import t from 'tap'
import { clockSkewMs } from '../../src/domains/events/enrich/clock.ts'
import { ENRICHMENT_COLUMNS } from '../../src/domains/events/enrich/columns.ts'
import { cpuMsOf, enrich } from '../helpers/enrich.ts'

const arrive = (search: string, referrer = '', campaign?: unknown) =>
  enrich({ page: { url: `https://www.shop.example/start${search}`, referrer }, campaign })

t.test('the channel follows from the tags of the URL and the referring site', async (t) => {
  const google = 'https://www.google.co.uk/'
  const cases: [search: string, referrer: string, channel: string][] = [
    ['', '', 'direct'],
    ['?page=2', '', 'direct'],
    ['', '$direct', 'direct'],
    ['', google, 'organic_search'],
    ['', 'https://r.search.yahoo.com/x', 'organic_search'],
    ['', 'https://yandex.com.tr/', 'organic_search'],
    ['', 'android-app://com.google.android.googlequicksearchbox/', 'organic_search'],
    ['', 'https://docs.google.com/document', 'referral'],
    ['', 'https://google.evil.example/', 'referral'],
    ['', 'https://notfacebook.com/', 'referral'],
    ['', 'https://mail.google.com/', 'email'],
    ['', 'android-app://com.google.android.gm', 'email'],
    ['', 'https://l.facebook.com/l.php?u=x', 'organic_social'],
    ['', 'https://t.co/abc', 'organic_social'],
    ['', 'https://de.pinterest.com/', 'organic_social'],
    ['', 'https://blog.example/post', 'referral'],
    ['?gclid=abc', google, 'paid_search'],
    ['?gclid=abc', '', 'paid_search'],
    ['?dclid=abc', '', 'display'],
    ['?ttclid=abc', '', 'paid_social'],
    ['?fbclid=abc', '', 'organic_social'],
    ['?utm_source=google&utm_medium=cpc', '', 'paid_search'],
    ['?utm_source=Google&utm_medium=CPC', google, 'paid_search'],
    ['?utm_source=facebook&utm_medium=paid-social', '', 'paid_social'],
    ['?utm_source=www.facebook.com&utm_medium=cpc', '', 'paid_social'],
    ['?utm_source=partner&utm_medium=cpc', '', 'other'],
    ['?utm_source=dv360&utm_medium=display', '', 'display'],
    ['?utm_source=news&utm_medium=cpm', '', 'display'],
    ['?utm_source=newsletter&utm_medium=email', google, 'email'],
    ['?utm_source=newsletter', '', 'email'],
    ['?utm_medium=e-mail', '', 'email'],
    ['?utm_source=blog&utm_medium=affiliate', '', 'affiliates'],
    ['?utm_source=x&utm_medium=social', '', 'organic_social'],
    ['?utm_source=linkedin', '', 'organic_social'],
    ['?utm_source=bing&utm_medium=organic', '', 'organic_search'],
    ['?utm_source=acme&utm_medium=referral', '', 'referral'],
    ['?utm_source=acme', google, 'other'],
    ['?utm_campaign=spring', '', 'other'],
    ['?utm_source=acme&utm_medium=flyer', '', 'other'],
  ]
  for (const [search, referrer, channel] of cases) {
    t.equal(arrive(search, referrer).channel, channel, `${search} from ${referrer}`)
  }
})

t.test('a step within the site and an event without a page are no arrivals', async (t) => {
  for (const referrer of ['https://shop.example/', 'https://www.shop.example/x', 'https://blog.shop.example/']) {
    t.match(arrive('', referrer), { channel: '', referrerDomain: '' }, referrer)
  }
  t.match(enrich({}), { channel: '', referrerDomain: '' })
  t.match(enrich(undefined), { channel: '' })
  t.match(arrive('?utm_source=a', 'https://shop.example/'), { channel: 'other', referrerDomain: '' })
  for (const other of ['https://op.example/', 'https://myshop.example/']) {
    t.match(arrive('', other), { channel: 'referral' }, other)
  }
})

t.test('tags are taken from the URL, and what the client found itself wins', async (t) => {
  const search =
    '?a=1&utm_source=News+Letter&utm_medium=email&utm_campaign=Fr%C3%BChling&utm_term=x&utm_content=%20y%20#utm_term=z'
  const expected = {
    utmSource: 'News Letter',
    utmMedium: 'email',
    utmCampaign: 'Frühling',
    utmTerm: 'x',
    utmContent: 'y',
  }
  t.match(arrive(search), expected)
  t.match(arrive(search), expected, 'also when it was seen before')
  t.match(arrive(search, '', { name: 'Spring', source: '' }), { ...expected, utmCampaign: 'Spring' })
  t.match(arrive(search, '', { name: 'Autumn' }), { ...expected, utmCampaign: 'Autumn' })
  t.match(enrich({ campaign: { source: 'google', medium: 'cpc' } }), { channel: 'paid_search', utmSource: 'google' })
  t.match(enrich({ page: { url: '/start?utm_source=acme' } }), { utmSource: 'acme', channel: 'other' })
  t.match(enrich({ $current_url: 'https://x.y/?utm_source=z', $referrer: 'https://a.b/' }), {
    utmSource: 'z',
    referrerDomain: 'a.b',
  })
})

t.test('the referring domain is in lower case and without www', async (t) => {
  t.equal(arrive('', 'HTTPS://WWW.Example.COM:8443/Path').referrerDomain, 'example.com')
  t.equal(arrive('', 'https://bücher.example/').referrerDomain, 'xn--bcher-kva.example')
  t.equal(arrive('', 'https://user:secret@example.org/').referrerDomain, 'example.org')
})

t.test('URLs that are broken or made to hurt are read within bounds', async (t) => {
  const long = 'a'.repeat(50_000)
  const urls = ['http://', 'https://[::1', 'https://%', '://', 'javascript:alert(1)', '\u0000', `https://${long}.com/`]
  urls.push(
    `https://x.y/?utm_source=${long}`,
    `https://x.y/?${'&'.repeat(50_000)}utm_source=1`,
    `https://${'a.'.repeat(25_000)}com`,
  )
  urls.push(
    `https://x.y/?utm_source=${'%41'.repeat(17_000)}`,
    `https://x.y/?utm_medium=${'cp'.repeat(25_000)}`,
    '?'.repeat(50_000),
  )
  for (const url of urls) {
    const context = { page: { url, referrer: url }, campaign: { term: url } }
    t.ok(cpuMsOf(() => enrich(context)) < 50, url.slice(0, 40))
    const found = enrich(context)
    for (const value of Object.values(found)) t.ok(String(value).length <= 253)
  }
  t.ok(arrive(`?utm_source=${'😀'.repeat(150)}x`).utmSource.isWellFormed())
  t.ok(arrive(`?utm_source=x${'😀'.repeat(150)}`).utmSource.isWellFormed())
})

t.test('a clock counts as wrong between a minute and a day', async (t) => {
  const received = Date.UTC(2026, 2, 1)
  const cases: [aheadMs: number | undefined, skewMs: number][] = [
    [undefined, 0],
    [0, 0],
    [60_000, 0],
    [-60_000, 0],
    [60_001, 60_001],
    [-60_001, -60_001],
    [86_400_000, 86_400_000],
    [-86_400_000, -86_400_000],
    [86_400_001, 0],
    [-86_400_001, 0],
    [1e15, 0],
  ]
  for (const [aheadMs, skewMs] of cases) {
    t.equal(clockSkewMs(aheadMs === undefined ? undefined : received + aheadMs, received), skewMs, String(aheadMs))
  }
  t.equal(enrich({}, { clockSkewMs: -90_000 }).clockSkewMs, -90_000)
})

t.test('there is one column for every part of an enrichment, of the kind of its value', async (t) => {
  const enrichment = enrich({ ip: '8.8.8.8' })
  t.same(ENRICHMENT_COLUMNS.map(([, key]) => key).sort(), Object.keys(enrichment).sort())
  const types = { string: 'String', boolean: 'UInt8', number: 'Int64' }
  for (const [column, key, type] of ENRICHMENT_COLUMNS) {
    t.equal(type, types[typeof enrichment[key] as keyof typeof types], column)
  }
})
