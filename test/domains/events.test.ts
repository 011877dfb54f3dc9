import { gzipSync } from 'node:zlib'
import t from 'tap'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)

const send = (key: string, body: unknown, headers: Record<string, string> = {}) =>
  app.inject(
    authorized(key, {
      method: 'POST',
      url: '/v1/events',
      headers: { 'content-type': 'application/json', ...headers },
      payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    }),
  )

const stored = async (projectId: string) => {
  const result = await app.clickhouse.client.query({
    query:
      'SELECT message_id, event, properties, user_id FROM events FINAL WHERE project_id = {projectId:String} ORDER BY message_id',
    query_params: { projectId },
    format: 'JSONEachRow',
  })
  return result.json<{ message_id: string; event: string; properties: string; user_id: string }>()
}

t.test('an acknowledged event is stored once, whatever form it came in', async (t) => {
  const one = await send(alpha.writeKey, { event: 'Single', messageId: 'm-single', properties: { a: 1 } })
  t.equal(one.statusCode, 202, one.body)
  t.match(one.json(), {
    accepted: 1,
    duplicates: 0,
    rejected: 0,
    results: [{ index: 0, messageId: 'm-single', status: 'accepted' }],
  })
  t.match(one.headers['ratelimit-policy'], /^"burst";q=\d+;w=1$/)
  const array = await send(alpha.writeKey, [{ event: 'Array', messageId: 'm-array' }])
  t.equal(array.json().accepted, 1)
  const batch = await send(alpha.writeKey, {
    batch: [{ event: 'Batch', messageId: 'm-batch' }],
    sentAt: new Date().toISOString(),
  })
  t.equal(batch.json().accepted, 1, batch.body)
  const ndjson = '{"event":"Line","messageId":"m-line-1"}\n\n{"event":"Line","messageId":"m-line-2"}\n'
  const lines = await send(alpha.writeKey, ndjson, { 'content-type': 'application/x-ndjson' })
  t.equal(lines.json().accepted, 2, lines.body)
  const gzip = await send(alpha.writeKey, gzipSync('{"event":"Gzip","messageId":"m-gzip"}'), {
    'content-encoding': 'gzip',
  })
  t.equal(gzip.json().accepted, 1, gzip.body)

  const rows = await eventually('storing six events', async () => {
    const found = await stored(alpha.projectId)
    return found.length >= 6 && found
  })
  t.same(
    rows.map((row) => row.message_id),
    ['m-array', 'm-batch', 'm-gzip', 'm-line-1', 'm-line-2', 'm-single'],
  )
  t.equal(rows.at(-1)?.properties, '{"a":1}')
})

t.test('the same messageId is a duplicate in its own project and news in another', async (t) => {
  const event = { event: 'Twice', messageId: 'm-twice' }
  t.equal((await send(alpha.writeKey, event)).json().accepted, 1)
  t.match((await send(alpha.writeKey, event)).json(), {
    accepted: 0,
    duplicates: 1,
    results: [{ status: 'duplicate' }],
  })
  t.match((await send(alpha.writeKey, [event, event])).json(), { accepted: 0, duplicates: 2 })
  t.equal((await send(beta.writeKey, event)).json().accepted, 1, 'tenants do not share ids')
})
