import { once } from 'node:events'
import { request } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import {
  FRONT_HEADERS,
  failureOf,
  isRunning,
  residentBytes,
  rowsOf,
  startFront,
  until,
} from '../helpers/clickhouse-front.ts'

const front = await startFront(t)
const client = front.client()
const { send } = front

t.test('every format is the engine’s own bytes, however it is asked for', async (t) => {
  const query = "SELECT number AS n, concat('a;b\n', toString(number)) AS s FROM numbers(2)"
  const rows = [0, 1].map((n) => ({ n, s: `a;b\n${n}` }))
  t.strictSame(await (await client.query({ query, format: 'JSONEachRow' })).json(), rows)
  t.match(await (await client.query({ query, format: 'JSON' })).json(), { data: rows, rows: 2 })
  t.match(await (await client.query({ query: `${query};`, format: 'JSON' })).json(), { data: rows })
  t.match(await (await client.query({ query, format: 'JSONCompact' })).json(), {
    data: [
      [0, 'a;b\n0'],
      [1, 'a;b\n1'],
    ],
  })
  t.equal(await (await client.query({ query, format: 'CSVWithNames' })).text(), '"n","s"\n0,"a;b\n0"\n1,"a;b\n1"\n')
  t.equal(await (await client.query({ query, format: 'TabSeparated' })).text(), '0\ta;b\\n0\n1\ta;b\\n1\n')
  const asked = await send('default_format=CSV', { body: `${query} SETTINGS max_threads = 1 -- FORMAT JSON` })
  t.equal(asked.headers.get('x-clickhouse-format'), 'CSV')
  t.equal(await asked.text(), '0,"a;b\n0"\n1,"a;b\n1"\n')
  const binary = await send('', { body: "SELECT unhex('00FF0A0D') FORMAT RowBinary" })
  t.strictSame(Buffer.from(await binary.arrayBuffer()), Buffer.from([4, 0x00, 0xff, 0x0a, 0x0d]))
  t.equal(await (await send('query=SELECT', { body: '1, 2' })).text(), '1\t2\n', 'the query goes on in the body')
  t.strictSame(await rowsOf(client, 'WITH 3 AS three SELECT three'), [{ three: 3 }])
  t.strictSame(await rowsOf(client, '(SELECT 1 AS a) UNION ALL (SELECT 1)'), [{ a: 1 }, { a: 1 }])
  t.strictSame(await rowsOf(client, "SELECT 'INTO OUTFILE' AS format"), [{ format: 'INTO OUTFILE' }])
  t.match(await rowsOf(client, 'SHOW DATABASES'), [{ name: String }])
  t.match(await rowsOf(client, 'DESCRIBE TABLE system.one'), [{ name: 'dummy' }])
  t.strictSame(await rowsOf(client, 'EXISTS TABLE system.one'), [{ result: 1 }])
})

t.test('a statement is understood whatever its quotes, comments and names hold', async (t) => {
  const cases: [sql: string, expected: string][] = [
    ["SELECT 'it\\'s; FORMAT JSON' AS a;", "it\\'s; FORMAT JSON\n"],
    ["SELECT 'it''s' AS `a;b`, 1 AS \"c;d\"", "it\\'s\t1\n"],
    ['SELECT $tag$; DROP TABLE x; $tag$ AS a', '; DROP TABLE x; \n'],
    ['/* ; FORMAT JSON */ SELECT 1 -- ; FORMAT JSON\n', '1\n'],
    ["SELECT 1 FORMAT CSV SETTINGS max_threads = 1, log_comment = 'FORMAT JSON'", '1\n'],
    ["SELECT [';', ')'][1] AS format FORMAT TabSeparated ; ; ", ';\n'],
    ['SELECT format FROM (SELECT 1 AS format) AS values', '1\n'],
    ['\n\tselect 1 format tsv', '1\n'],
  ]
  for (const [sql, expected] of cases) t.equal(await (await send('', { body: sql })).text(), expected, sql)
})

t.test('an answer is compressed when the client asks, whole or streamed', async (t) => {
  for (const rows of [10, 200_000]) {
    const body = `SELECT number FROM numbers(${rows})`
    const response = await send('enable_http_compression=1', { body, headers: { 'Accept-Encoding': 'gzip' } })
    t.equal(response.headers.get('content-encoding'), 'gzip')
    t.equal((await response.text()).split('\n').length, rows + 1)
    t.equal((await send('', { body })).headers.get('content-encoding'), null)
  }
  const compressed = front.client({ compression: { response: true, request: true } })
  t.equal((await rowsOf(compressed, 'SELECT number FROM numbers(100000)')).length, 100_000)
  t.hasStrict(await failureOf(rowsOf(compressed, 'SELECT * FROM nowhere')), { code: '60' })
})

t.test('a million rows stream through without growing the process', async (t) => {
  const query = "SELECT number, repeat('x', 200) AS filler FROM numbers(1000000)"
  await (await client.query({ query: `${query} LIMIT 20000`, format: 'JSONEachRow' })).text()
  const before = residentBytes(front.ready.pid)
  const result = await client.query({ query, format: 'JSONEachRow' })
  let rows = 0
  let peak = 0
  for await (const chunk of result.stream()) {
    rows += chunk.length
    peak = Math.max(peak, residentBytes(front.ready.pid))
    await setImmediate()
  }
  t.equal(rows, 1_000_000)
  const grownMb = Math.round((peak - before) / 1e6)
  t.comment(`grew by ${grownMb} MB for 240 MB of rows`)
  t.ok(grownMb < 150, `grew by ${grownMb} MB`)
})

t.test('a failure in the middle of a stream never looks like the end of it', async (t) => {
  const query = "SELECT throwIf(number = 3000000, 'too far') AS n FROM numbers(10000000)"
  const clickhouse_settings = { max_block_size: '10000', max_threads: 1 }
  t.hasStrict(await failureOf(rowsOf(client, query, { clickhouse_settings })), { code: '395' })
  const whole = await client.query({ query, format: 'JSON', clickhouse_settings })
  await t.rejects(whole.text(), 'half a document is an error')
  const held = { ...clickhouse_settings, wait_end_of_query: 1 as const }
  t.hasStrict(await failureOf(client.query({ query, format: 'TabSeparated', clickhouse_settings: held })), {
    code: '395',
  })
})

t.test('a statement ends when its client goes away, before its first row or among its rows', async (t) => {
  const silent = 'SELECT sum(sipHash64(number)) FROM numbers(1000000000000)'
  const abort = new AbortController()
  const waiting = client.query({ query: silent, abort_signal: abort.signal })
  await until('the silent statement runs', () => isRunning(client, silent))
  abort.abort()
  await t.rejects(waiting)
  await until('the silent statement is gone', async () => !(await isRunning(client, silent)))

  const endless = 'SELECT number FROM numbers(1000000000000)'
  const result = await client.query({ query: endless, format: 'JSONEachRow' })
  t.ok(await isRunning(client, endless))
  result.close()
  await until('the endless statement is gone', async () => !(await isRunning(client, endless)))
})

t.test('a statement obeys its time limit', async (t) => {
  const query = 'SELECT sum(sipHash64(number)) FROM numbers(1000000000000)'
  const clickhouse_settings = { max_execution_time: 0.2 }
  t.hasStrict(await failureOf(rowsOf(client, query, { clickhouse_settings })), {
    code: '159',
    type: 'TIMEOUT_EXCEEDED',
  })
})

t.test('the gzip body of an answer is a plain gzip file', async (t) => {
  const search = new URLSearchParams({ query: 'SELECT 42', enable_http_compression: '1' })
  const call = request(`${front.url}/?${search}`, {
    headers: { ...FRONT_HEADERS, 'Accept-Encoding': 'gzip, deflate' },
  }).end()
  const [response] = await once(call, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  t.equal(gunzipSync(Buffer.concat(chunks)).toString(), '42\n')
})
