import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import t from 'tap'
import { ENRICHMENT_COLUMNS } from '../../src/domains/events/enrich/columns.ts'
import { IP_POLICIES } from '../../src/http/access.ts'
import { newId } from '../../src/ids.ts'
import { AMERICAN, browser, CHROME, enrich, enrichBytes, GERMAN, server } from '../helpers/enrich.ts'
import { openEventStore } from '../helpers/insights.ts'

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

t.test('the event store reads from the bytes what was written into them, for each tenant its own', async (t) => {
  const { clickhouse } = await openEventStore(t)
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])
  const columns = ['organization_id', 'project_id', 'message_id', ...ENRICHMENT_COLUMNS.map(([column]) => column)]
  const tenants = [GERMAN, AMERICAN].map((ip) => ({ organizationId: newId('org'), projectId: newId('prj'), ip }))
  const rows = tenants.flatMap(({ organizationId, projectId, ip }) =>
    CONTEXTS.map((context, index) => {
      const request = { sender: browser({}, ip), clockSkewMs: -index * 100_000 }
      const { bytes, enrichment } = enrichBytes(context, request)
      const head = [organizationId, projectId, String(index)].map(text)
      return { projectId, bytes: Buffer.concat([...head, bytes]), enrichment }
    }),
  )
  const { stream } = await clickhouse.client.exec({
    query: `INSERT INTO events (${columns.join(', ')}) FORMAT RowBinary`,
    values: Readable.from([Buffer.concat(rows.map(({ bytes }) => bytes))], { objectMode: false }),
    clickhouse_settings: { wait_end_of_query: 1 },
  })
  await finished(stream.resume())
  const selected = ENRICHMENT_COLUMNS.map(([column, key]) => `${column} AS ${key}`).join(', ')
  for (const { projectId } of tenants) {
    const result = await clickhouse.client.query({
      query: `SELECT ${selected} FROM events FINAL WHERE project_id = {projectId:String} ORDER BY message_id`,
      query_params: { projectId },
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    })
    const stored = (await result.json<Record<string, unknown>>()).map((row) => ({ ...row, isBot: row.isBot === 1 }))
    const expected = rows.filter((row) => row.projectId === projectId).map(({ enrichment }) => enrichment)
    t.same(stored, expected)
  }
})
