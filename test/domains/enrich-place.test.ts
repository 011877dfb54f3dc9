import t from 'tap'
import { createEnricher } from '../../src/domains/events/enrich/enrich.ts'
import { applyIpPolicy } from '../../src/domains/events/enrich/ip.ts'
import { IP_POLICIES } from '../../src/http/access.ts'
import { AMERICAN, browser, enrich, GERMAN, server } from '../helpers/enrich.ts'

t.test('an address is stored as the policy of the project says, in one way of writing', async (t) => {
  const cases: [given: string, keep: string, truncate: string][] = [
    [GERMAN, '91.12.34.56', '91.12.34.0'],
    ['::ffff:91.12.34.56', '91.12.34.56', '91.12.34.0'],
    ['::FFFF:5b0c:2238', '91.12.34.56', '91.12.34.0'],
    ['2003:00E1:0001:0002::0001', '2003:e1:1:2::1', '2003:e1:1::'],
    ['2001:db8::', '2001:db8::', '2001:db8::'],
    ['2001:0:0:1::1', '2001:0:0:1::1', '2001::'],
    ['fe80::1%eth0', 'fe80::1', 'fe80::'],
    ['10.1.2.3', '10.1.2.3', '10.1.2.0'],
  ]
  for (const [ip, keep, truncate] of cases) {
    const stored = IP_POLICIES.map((ipPolicy) => enrich({ ip }, { ipPolicy }).ip)
    t.same(stored, [keep, truncate, ''], ip)
  }
})

t.test('the place is that of the whole address, whatever of it is stored', async (t) => {
  for (const ipPolicy of IP_POLICIES) {
    t.match(enrich({ ip: GERMAN }, { ipPolicy }), { country: 'DE', city: 'Hamburg', region: /Hamburg/ }, ipPolicy)
    t.match(enrich({ ip: '2003:e1:1:1::1' }, { ipPolicy }), { country: 'DE' }, `${ipPolicy} IPv6`)
    t.match(enrich({ ip: `::ffff:${AMERICAN}` }, { ipPolicy }), { country: 'US', region: 'California' }, ipPolicy)
  }
})

t.test('a district in brackets is not part of the city', async (t) => {
  t.notMatch(enrich({ ip: GERMAN }).city, /\(/)
})

t.test('an address that has no place opens no file', async (t) => {
  const directory = new URL(`file://${t.testdir({})}/`)
  const enricher = createEnricher({ directory, onFault: (error) => t.fail(String(error)) })
  const request = { sender: browser(), ipPolicy: 'keep', clockSkewMs: 0 } as const
  for (const ip of ['127.0.0.1', '::1', '192.168.1.1', 'fd00::1', 'localhost']) enricher.enrich(request, { ip })
})

const NOWHERE = { country: '', region: '', city: '' }

t.test('an address of one machine or one network has no place', async (t) => {
  const local = '0.0.0.0 10.0.0.1 100.64.1.1 127.0.0.1 169.254.1.1 172.31.0.1 192.168.1.1 224.0.0.1 255.255.255.255'
  for (const ip of [...local.split(' '), '::', '::1', 'fd00::1', 'fe80::1%eth0', 'ff02::1', '::ffff:10.0.0.1']) {
    t.match(enrich({ ip }), NOWHERE, ip)
  }
})

t.test(
  'what is no address is neither stored nor located, and does not give way to the address of the request',
  async (t) => {
    const bad = [
      'localhost',
      '1.2.3',
      '1.2.3.4.5',
      '01.2.3.4',
      '1.2.3.4:80',
      '1.2.3.4, 5.6.7.8',
      ':::',
      '1::2::3',
      `${GERMAN} `,
    ]
    for (const ip of [...bad, '1.2.3.4%eth0', 'f'.repeat(50_000), `fe80::1%${'z'.repeat(50_000)}`]) {
      t.match(enrich({ ip }), { ...NOWHERE, ip: '' }, ip.slice(0, 40))
    }
  },
)

t.test('the address of a server that sends for its users is not taken for theirs', async (t) => {
  t.match(enrich({}, { sender: server() }), { ...NOWHERE, ip: '' })
  t.match(enrich(undefined, { sender: server() }), { ...NOWHERE, ip: '' })
  t.match(enrich({ ip: GERMAN }, { sender: server() }), { country: 'DE', ip: GERMAN })
  t.match(enrich({ $ip: GERMAN }, { sender: server() }), { country: 'DE', ip: GERMAN })
})

t.test('the address of a browser or a native app is its user’s, unless the event names another', async (t) => {
  t.match(enrich({}), { country: 'DE', ip: GERMAN })
  t.match(enrich(undefined, { sender: browser({}, AMERICAN) }), { country: 'US' })
  t.match(enrich({ ip: AMERICAN }), { country: 'US', ip: AMERICAN })
  t.match(enrich({ library: { name: 'analytics-ios' } }, { sender: server() }), { country: 'US' })
  t.match(enrich({ $lib: 'posthog-react-native' }, { sender: server() }), { country: 'US' })
  for (const name of ['analytics-node', 'axios', 'community']) {
    t.match(enrich({ library: { name } }, { sender: server() }), NOWHERE, name)
  }
  t.match(enrich({ $geoip_disable: true }), { ...NOWHERE, ip: GERMAN })
})

t.test('an address does not stay in the context when the policy does not let it be stored', async (t) => {
  const context = { ip: GERMAN, $ip: '::ffff:8.8.8.8', page: { url: 'https://x.y' } }
  const before = structuredClone(context)
  t.equal(applyIpPolicy(context, 'keep'), context)
  t.same(applyIpPolicy(context, 'truncate'), { ip: '91.12.34.0', $ip: '8.8.8.0', page: context.page })
  t.same(applyIpPolicy(context, 'drop'), { page: context.page })
  t.same(context, before, 'the given context is not changed')
  t.same(applyIpPolicy({ ip: `${GERMAN}:443`, a: 1 }, 'truncate'), { a: 1 }, 'a form that is not read is removed')
  t.same(applyIpPolicy({ ip: [GERMAN] }, 'truncate'), {})
  for (const plain of [{ page: {} }, undefined]) t.equal(applyIpPolicy(plain, 'drop'), plain)
})

t.test('files of places that are missing or damaged cost events their place and nothing else', async (t) => {
  const faults: unknown[] = []
  const missing = new URL(`file://${t.testdir({ 'dbip-city-ipv4.mmdb': 'not a database' })}/`)
  const enricher = createEnricher({ directory: missing, onFault: (error) => faults.push(error) })
  await enricher.warm()
  for (const ip of [GERMAN, AMERICAN, '2003:e1:1:1::1', '2003:e1:1:1::2']) {
    const request = { sender: browser(), ipPolicy: 'keep', clockSkewMs: 0 } as const
    t.match(enricher.enrich(request, { ip }), { ...NOWHERE, ip, browser: 'Chrome' })
  }
  t.equal(faults.length, 2, 'each file is reported once')
})

t.test('places are found alike whether the files were read ahead or not', async (t) => {
  const enricher = createEnricher({ onFault: (error) => t.fail(String(error)) })
  await enricher.warm()
  const request = { sender: browser(), ipPolicy: 'drop', clockSkewMs: 0 } as const
  t.same(enricher.enrich(request, {}), enrich({}, { ipPolicy: 'drop' }))
})
