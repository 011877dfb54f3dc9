import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { brotliCompressSync, createGunzip, createGzip, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)
const good = (index: number) => ({ event: 'Good', messageId: `good-${index}` })

const send = (payload: string | Buffer, headers: Record<string, string> = {}, key = alpha.writeKey, query = '') =>
  app.inject(
    authorized(key, {
      method: 'POST',
      url: `/v1/events${query}`,
      headers: { 'content-type': 'application/json', ...headers },
      payload,
    }),
  )

const bufferedEntries = async () => {
  const lengths = await Promise.all([0, 1].map((shard) => app.ingestRedis.xlen(`mh:{${shard}}:stream`)))
  return lengths.reduce((sum, length) => sum + length, 0)
}

interface Refused {
  what: string
  body: string | Buffer
  headers?: Record<string, string>
  key?: string
  query?: string
  status: number
  code: string
  errors?: { path: string }[]
}

const refused: Refused[] = [
  { what: 'no body', body: '', status: 400, code: 'events.body_empty' },
  { what: 'an empty array', body: '[]', status: 400, code: 'events.body_empty' },
  { what: 'an empty batch', body: '{"batch":[]}', status: 400, code: 'events.body_empty' },
  {
    what: 'only blank lines',
    body: '\n\n',
    headers: { 'content-type': 'application/x-ndjson' },
    status: 400,
    code: 'events.body_empty',
  },
  { what: 'a body that is not JSON', body: '{"event":', status: 400, code: 'events.body_not_json' },
  {
    what: 'bytes that are not UTF-8',
    body: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
    status: 400,
    code: 'events.body_not_decodable',
  },
  {
    what: 'gzip that is not gzip',
    body: 'plain',
    headers: { 'content-encoding': 'gzip' },
    status: 400,
    code: 'events.body_not_decodable',
  },
  {
    what: 'gzip that breaks off',
    body: gzipSync(JSON.stringify([good(1)])).subarray(0, 20),
    headers: { 'content-encoding': 'gzip' },
    status: 400,
    code: 'events.body_not_decodable',
  },
  {
    what: 'an unknown encoding',
    body: '{}',
    headers: { 'content-encoding': 'lzma' },
    status: 415,
    code: 'events.unsupported_encoding',
  },
  {
    what: 'another media type',
    body: 'event=x',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    status: 415,
    code: 'request.unsupported_media_type',
  },
  { what: '11 MB', body: `[${' '.repeat(11 * 1024 * 1024)}]`, status: 413, code: 'events.body_too_large' },
  {
    what: '11 MB of zeros in gzip',
    body: gzipSync(Buffer.alloc(11 * 1024 * 1024)),
    headers: { 'content-encoding': 'gzip' },
    status: 413,
    code: 'events.body_too_large',
  },
  {
    what: '2,001 events',
    body: JSON.stringify(Array.from({ length: 2001 }, (_, i) => good(i))),
    status: 413,
    code: 'events.too_many',
  },
  { what: 'a number', body: '5', status: 422, code: 'events.all_rejected', errors: [{ path: '/0' }] },
  {
    what: 'an event without a name',
    body: '{"messageId":"x"}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/event' }],
  },
  {
    what: 'a name of the wrong type',
    body: '{"event":5}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/event' }],
  },
  {
    what: 'a name of 201 characters',
    body: JSON.stringify({ event: 'x'.repeat(201) }),
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/event' }],
  },
  {
    what: 'an unknown field',
    body: '{"event":"x","propertys":{}}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/propertys' }],
  },
  {
    what: 'properties that are a list',
    body: '{"event":"x","properties":[1]}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/properties' }],
  },
  {
    what: 'an unknown type',
    body: '{"event":"x","type":"blink"}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/type' }],
  },
  {
    what: 'a date that does not exist',
    body: '{"event":"x","timestamp":"2026-13-45"}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/timestamp' }],
  },
  {
    what: '30 February',
    body: '{"event":"x","timestamp":"2026-02-30T12:00:00Z"}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/timestamp' }],
  },
  {
    what: 'an integer that no column holds',
    body: '{"event":"x","properties":{"big":100000000000000000000}}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/properties/big' }],
  },
  {
    what: 'a number that JSON reads as infinity',
    body: '{"event":"x","properties":{"list":[{"a/b":1e400}]}}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/properties/list/0/a~1b' }],
  },
  {
    what: 'a sentAt that no column holds',
    body: '{"batch":[{"event":"x"}],"sentAt":8640000000000000}',
    status: 400,
    code: 'request.invalid',
    errors: [{ path: '/sentAt' }],
  },
  {
    what: 'a time in the far future',
    body: '{"event":"x","timestamp":"2999-01-01T00:00:00Z"}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/timestamp' }],
  },
  {
    what: 'half of a surrogate pair',
    body: '{"event":"x","properties":{"a":"\\ud800"}}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/properties/a' }],
  },
  {
    what: '__proto__ as a property',
    body: '{"event":"x","properties":{"__proto__":{"y":1}}}',
    status: 422,
    code: 'events.all_rejected',
    errors: [{ path: '/0/properties/__proto__' }],
  },
  {
    what: 'a depth of 10,000',
    body: `{"event":"x","properties":{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`,
    status: 422,
    code: 'events.all_rejected',
  },
  {
    what: 'an event of 300 KB',
    body: JSON.stringify({ event: 'x', properties: { a: 'y'.repeat(300 * 1024) } }),
    status: 422,
    code: 'events.all_rejected',
  },
  {
    what: 'a sentAt that is no time',
    body: '{"batch":[{"event":"x"}],"sentAt":"yesterday"}',
    status: 400,
    code: 'request.invalid',
    errors: [{ path: '/sentAt' }],
  },
  {
    what: 'an unknown query parameter',
    body: '{"event":"x"}',
    query: '?debug=1',
    status: 400,
    code: 'request.invalid',
    errors: [{ path: '/querystring/debug' }],
  },
  { what: 'no key', body: '{"event":"x"}', key: '', status: 401, code: 'auth.unauthenticated' },
  { what: 'a wrong key', body: '{"event":"x"}', key: 'mh_write_wrong', status: 401, code: 'auth.unauthenticated' },
  { what: 'a key without the scope', body: '{"event":"x"}', key: beta.apiKey, status: 403, code: 'auth.forbidden' },
]

t.test('bad input gets a problem that names the field, and nothing of it is taken', async (t) => {
  for (const { what, body, headers, key, query, status, code, errors } of refused) {
    const answer = await send(body, headers, key, query)
    t.equal(answer.statusCode, status, `${what}: ${answer.body.slice(0, 300)}`)
    t.match(answer.headers['content-type'], /^application\/problem\+json/, what)
    t.match(
      answer.json(),
      { code, status, title: String, detail: String, type: /\/problems\//, ...(errors ? { errors } : {}) },
      what,
    )
    t.equal(answer.json().instance, answer.headers['x-request-id'], what)
    t.ok(answer.body.length < 3000, 'the answer does not repeat the input')
  }
  t.equal(await bufferedEntries(), 0)
  t.notOk(Object.hasOwn(Object.prototype, 'y'), 'no prototype was touched')
})

t.test('one bad event among 99 good ones costs nobody but itself', async (t) => {
  const events: unknown[] = Array.from({ length: 100 }, (_, index) => good(index))
  events[41] = { messageId: 'nameless', properties: { a: 1 } }
  const answer = await send(JSON.stringify(events))
  t.equal(answer.statusCode, 202)
  const { accepted, rejected, results } = answer.json()
  t.same({ accepted, rejected }, { accepted: 99, rejected: 1 })
  t.match(results[41], {
    index: 41,
    messageId: 'nameless',
    status: 'rejected',
    code: 'events.invalid',
    message: /\/event/,
  })
  await eventually('storing the 99', async () => {
    const result = await app.clickhouse.client.query({
      query: `SELECT count() AS n FROM events WHERE project_id = {projectId:String} AND event = 'Good'`,
      query_params: { projectId: alpha.projectId },
      format: 'JSONEachRow',
    })
    return Number((await result.json<{ n: string }>())[0]?.n) === 99
  })
})

t.test('a line of NDJSON that is no JSON is refused by itself', async (t) => {
  const body = `${JSON.stringify(good(1000))}\n{"event":\n${JSON.stringify(good(1001))}`
  const answer = await send(body, { 'content-type': 'application/x-ndjson' })
  t.match(answer.json(), {
    accepted: 2,
    rejected: 1,
    results: [{}, { index: 1, status: 'rejected', code: 'events.invalid_json' }, {}],
  })
})

t.test('more than 100 events are answered with the exceptions only, unless asked for all', async (t) => {
  const events = Array.from({ length: 101 }, (_, index) => good(2000 + index))
  t.same((await send(JSON.stringify(events))).json().results, [])
  const verbose = await send(JSON.stringify(events), {}, alpha.writeKey, '?verbose=true')
  t.equal(verbose.json().results.length, 101)
  t.equal(verbose.json().duplicates, 101)
})

t.test('the same id with other content is a duplicate that says so, and the first copy stands', async (t) => {
  t.equal((await send('{"event":"A","messageId":"conflict","properties":{"v":1}}')).json().accepted, 1)
  const second = await send('{"event":"A","messageId":"conflict","properties":{"v":2}}')
  t.match(second.json(), { accepted: 0, duplicates: 1, results: [{ status: 'duplicate', code: 'events.conflict' }] })
})

t.test(
  'an event without a messageId says that it cannot be recognized, and with an Idempotency-Key it can',
  async (t) => {
    t.match((await send('{"event":"A"}')).json().results[0], { status: 'accepted', deduplication: 'none' })
    const keyed = () => send('[{"event":"A"},{"event":"B"}]', { 'idempotency-key': 'retry-me' })
    t.match((await keyed()).json(), { accepted: 2, duplicates: 0 })
    t.match((await keyed()).json(), { accepted: 0, duplicates: 2 })
  },
)

t.test('a messageId that claims an impossible time is stored at the time of its receipt', async (t) => {
  const ids = ['ffffffff-ffff-7fff-8fff-ffffffffffff', '00000000-0000-7000-8000-000000000000']
  const answer = await send(JSON.stringify(ids.map((messageId) => ({ event: 'Timeless', messageId }))))
  t.equal(answer.json().accepted, 2)
  const days = await eventually('storing both', async () => {
    const result = await app.clickhouse.client.query({
      query: `SELECT toString(toDate(timestamp)) AS day, toString(toDate(received_at)) AS received FROM events FINAL
              WHERE project_id = {projectId:String} AND event = 'Timeless'`,
      query_params: { projectId: alpha.projectId },
      format: 'JSONEachRow',
    })
    const rows = await result.json<{ day: string; received: string }>()
    return rows.length === 2 && rows
  })
  for (const { day, received } of days) t.equal(day, received)
})

t.test('every content encoding of the contract is understood', async (t) => {
  const encoders = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }
  for (const [encoding, encode] of Object.entries(encoders)) {
    const body = encode(JSON.stringify({ event: 'Encoded', messageId: `encoded-${encoding}` }))
    t.equal((await send(body, { 'content-encoding': encoding })).json().accepted, 1, encoding)
  }
})

t.test('what is built to be dear to parse is refused before it is parsed', async (t) => {
  const keys = Array.from({ length: 1_000_000 }, (_, index) => `"${index.toString(36)}":1`).join(',')
  const bodies = {
    'an object with a million keys': `{"event":"a","properties":{${keys}}}`,
    'a million empty arrays': `{"event":"a","properties":{"list":[${'[],'.repeat(1_000_000)}[]]}}`,
    'five million levels': `{"event":"a","properties":{"list":${'['.repeat(5_000_000)}`,
  }
  for (const [what, body] of Object.entries(bodies)) {
    const before = process.memoryUsage().rss
    const startedAt = performance.now()
    const answer = await send(body)
    const elapsedMs = performance.now() - startedAt
    const grownMb = (process.memoryUsage().rss - before) / 1024 / 1024
    t.equal(answer.statusCode, 413, `${what}: ${elapsedMs.toFixed(0)} ms, RSS ${grownMb.toFixed(1)} MB more`)
    t.equal(answer.json().code, 'events.body_too_complex')
    t.ok(elapsedMs < 1000, 'soon, on a busy machine too')
  }
  t.equal((await send('{"event":"after"}')).statusCode, 202)
})

const BOMB_MB = 512

/** Zeros and nothing else. Compressed beside the event loop, which belongs to the server. */
async function makeBomb(): Promise<Buffer> {
  const megabyte = Buffer.alloc(1024 * 1024)
  return buffer(Readable.from(Array(BOMB_MB).fill(megabyte)).pipe(createGzip({ level: 9 })))
}

/** What an act costs this process, on all of its threads, however busy the machine is with others. */
async function cpuMsOf<T>(act: () => Promise<T>): Promise<[T, number]> {
  const before = process.cpuUsage()
  const result = await act()
  const { user, system } = process.cpuUsage(before)
  return [result, (user + system) / 1000]
}

t.test('a compression bomb is cut off without being unpacked', async (t) => {
  const bomb = await makeBomb()
  const unpack = async () => {
    let bytes = 0
    for await (const chunk of Readable.from([bomb]).pipe(createGunzip())) bytes += chunk.length
    return bytes
  }
  const [bytes, wholeMs] = await cpuMsOf(unpack)
  t.equal(bytes, BOMB_MB * 1024 * 1024)
  global.gc?.()
  const before = process.memoryUsage().rss
  const [answer, cpuMs] = await cpuMsOf(() =>
    // On a machine that is busy with other things the door may say so to anybody, before it has looked at the body.
    eventually('an answer to the body', async () => {
      const answer = await send(bomb, { 'content-encoding': 'gzip' })
      return answer.statusCode !== 503 && answer
    }),
  )
  const grownMb = (process.memoryUsage().rss - before) / 1024 / 1024
  t.equal(answer.statusCode, 413)
  t.comment(
    `${BOMB_MB} MB in ${Math.round(bomb.length / 1024)} KB: ${wholeMs.toFixed(0)} ms of CPU to unpack, ${cpuMs.toFixed(0)} ms to refuse, RSS ${grownMb.toFixed(1)} MB more`,
  )
  t.ok(grownMb < 64, `grew by ${grownMb} MB`)
  t.ok(cpuMs < wholeMs / 4, `cost ${cpuMs} ms of ${wholeMs} ms`)
})

t.test(
  'an organization over its burst limit is told when to come back, and nothing of the request is taken',
  async (t) => {
    const { app: limited } = await startTestApp(t, { METERHOUSE_INGEST_EVENTS_PER_SECOND: '10' })
    const [one, other] = await createTwoTenants(limited)
    const burst = (key: string, from: number) =>
      limited.inject(
        authorized(key, {
          method: 'POST',
          url: '/v1/events',
          payload: Array.from({ length: 8 }, (_, index) => ({ event: 'Burst', messageId: `burst-${from + index}` })),
        }),
      )
    const answers = await eventually('two requests within one second', async () => {
      const pair = [await burst(one.writeKey, 0), await burst(one.writeKey, 8)]
      return pair[1]?.statusCode === 429 && pair
    })
    const refusal = answers[1]
    t.match(refusal?.json(), { code: 'events.burst_exceeded' })
    t.equal(refusal?.headers['retry-after'], '1')
    t.equal((await burst(other.writeKey, 0)).json().accepted, 8, 'the other organization has its own budget')
    const retried = await eventually('the end of the window', async () => {
      const answer = await burst(one.writeKey, 8)
      return answer.statusCode === 202 && answer
    })
    t.equal(retried.json().accepted, 8, 'the refused events are new when they come again')
  },
)

t.test('without its buffer the door answers 503 with Retry-After and never 202', async (t) => {
  const { app: stranded, redis } = await startTestApp(t)
  const [tenant] = await createTwoTenants(stranded)
  const request = authorized(tenant.writeKey, {
    method: 'POST',
    url: '/v1/events',
    payload: { event: 'x', messageId: 'stranded' },
  })
  t.equal((await stranded.inject(request)).statusCode, 202)
  await redis.stop()
  const answer = await stranded.inject(request)
  t.equal(answer.statusCode, 503, answer.body)
  t.ok(answer.headers['retry-after'])
  t.equal(answer.json().code, 'events.buffer_unavailable')
})
