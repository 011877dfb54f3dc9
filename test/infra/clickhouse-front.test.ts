import { TupleParam } from '@clickhouse/client'
import t from 'tap'
import { FRONT_HEADERS, failureOf, rowsOf, startFront } from '../helpers/clickhouse-front.ts'

const front = await startFront(t)
const client = front.client()
const { send } = front

t.test('a ping answers, with and without a statement', async (t) => {
  t.equal(await (await fetch(`${front.url}/ping`)).text(), 'Ok.\n')
  t.match(await client.ping(), { success: true })
  t.match(await client.ping({ select: true }), { success: true })
})

t.test('only the configured credentials are let in', async (t) => {
  const stranger = front.client({ password: 'wrong' })
  t.hasStrict(await failureOf(stranger.query({ query: 'SELECT 1' })), { code: '516', type: 'AUTHENTICATION_FAILED' })
  const anonymous = await fetch(`${front.url}/?query=SELECT%201`)
  t.equal(anonymous.status, 403)
  t.equal(anonymous.headers.get('x-clickhouse-exception-code'), '516')
  t.equal(await (await send('query=SELECT%201')).text(), '1\n')
})

t.test('a parameter arrives as the value it was, whatever is in it', async (t) => {
  const awkward = 'it\'s "a" \\ back\\\\slash\ttab\nline\r\u0001 ü 漢 😀 {x:String} `b` -- /* ; */'
  const cases: [type: string, value: unknown, expected: unknown][] = [
    ['String', awkward, awkward],
    ['String', '', ''],
    ['String', '\\N', '\\N'],
    ['Nullable(String)', null, null],
    ['Int64', -9007199254740993n, '-9007199254740993'],
    ['UInt8', 7, 7],
    ['Float64', 1.5, 1.5],
    ['Decimal(20, 4)', '12345678901234.5678', '12345678901234.5678'],
    ['Bool', true, true],
    ['UUID', '61f0c404-5cb3-11e7-907b-a6006ad3dba0', '61f0c404-5cb3-11e7-907b-a6006ad3dba0'],
    ['Date', '2026-02-28', '2026-02-28'],
    ["DateTime64(3, 'UTC')", new Date(1_700_000_000_123), '2023-11-14 22:13:20.123'],
    ['LowCardinality(String)', awkward, awkward],
    ['Array(String)', [awkward, '', "'"], [awkward, '', "'"]],
    ['Array(Nullable(String))', ['a', null], ['a', null]],
    ['Array(Array(UInt8))', [[1, 2], []], [[1, 2], []]],
    ['Array(String)', [], []],
    ['Map(String, UInt8)', { [awkward]: 1 }, { [awkward]: 1 }],
    ['Tuple(UInt8, String)', new TupleParam([1, awkward]), [1, awkward]],
  ]
  for (const [type, value, expected] of cases) {
    const rows = await rowsOf<{ v: unknown }>(client, `SELECT {v:${type}} AS v`, {
      query_params: { v: value },
      clickhouse_settings: { output_format_json_quote_64bit_integers: 1, output_format_json_quote_decimals: 1 },
    })
    t.strictSame(rows[0]?.v, expected, type)
  }
  const named = await rowsOf(client, 'SELECT count() AS n FROM {db:Identifier}.{name:Identifier}', {
    query_params: { db: 'system', name: 'one' },
  })
  t.strictSame(named, [{ n: 1 }])
})

t.test('parameters too long for a URL arrive as a form', async (t) => {
  const values = Array.from({ length: 20_000 }, (_, i) => `it's value ${i}`)
  for (const options of [{ use_multipart_params: true }, { use_multipart_params_auto: true }, {}]) {
    const few = values.slice(
      0,
      'use_multipart_params_auto' in options || 'use_multipart_params' in options ? 20_000 : 2000,
    )
    const rows = await rowsOf(client, 'SELECT length({v:Array(String)}) AS n, {v:Array(String)}[-1] AS last', {
      query_params: { v: few },
      ...options,
    })
    t.strictSame(rows, [{ n: few.length, last: few.at(-1) }])
  }
})

t.test('nothing a request sets is seen by another, even after a failure', async (t) => {
  const look = "SELECT getSetting('max_block_size') AS size, currentDatabase() AS db"
  const untouched = await rowsOf(client, look)
  const other = front.client({ database: 'system' })
  const clickhouse_settings = { max_block_size: '777' }
  t.strictSame(await rowsOf(other, look, { clickhouse_settings }), [{ size: 777, db: 'system' }])
  await t.rejects(rowsOf(other, 'SELECT throwIf(1)', { clickhouse_settings, query_params: { leak: 'x' } }))
  await t.rejects(rowsOf(other, 'SELECT nonsense(', { clickhouse_settings }))
  await t.rejects(rowsOf(other, look, { clickhouse_settings: { max_block_size: 'nonsense' } }))
  await other.command({ query: 'SET max_block_size = 778' })
  await other.command({ query: 'USE information_schema' })
  for (let i = 0; i < 20; i++) t.strictSame(await rowsOf(client, look), untouched)
  t.match(await failureOf(rowsOf(client, 'SELECT {leak:String}')), { type: 'UNKNOWN_QUERY_PARAMETER' })
})

t.test('requests at the same time each see their own settings and parameters', async (t) => {
  const one = async (i: number) => {
    const rows = await rowsOf(
      client,
      "SELECT getSetting('max_block_size') AS size, {v:String} AS v, sleep(0.01) AS s",
      {
        clickhouse_settings: { max_block_size: String(1000 + i) },
        query_params: { v: `value ${i}` },
      },
    )
    return { rows, i }
  }
  for (const { rows, i } of await Promise.all(Array.from({ length: 60 }, (_, i) => one(i)))) {
    t.strictSame(rows, [{ size: 1000 + i, v: `value ${i}`, s: 0 }])
  }
})

t.test('an unknown setting, session or role is refused', async (t) => {
  const clickhouse_settings = { nonsense: 1 } as Record<string, number>
  t.hasStrict(await failureOf(rowsOf(client, 'SELECT 1', { clickhouse_settings })), {
    code: '115',
    type: 'UNKNOWN_SETTING',
  })
  t.match(await failureOf(rowsOf(client, 'SELECT 1', { session_id: 'a' })), { type: 'NOT_IMPLEMENTED' })
  t.match(await failureOf(rowsOf(client, 'SELECT 1', { role: 'a' })), { type: 'NOT_IMPLEMENTED' })
  const injected = await send(new URLSearchParams({ query: 'SELECT 1', 'x = 1; DROP TABLE t; SET y': '1' }).toString())
  t.equal(injected.status, 404)
})

t.test('a failure carries the code, type and status that ClickHouse gives it', async (t) => {
  const cases: [sql: string, code: string, type: string, status: number][] = [
    ['SELECT 1 +', '62', 'SYNTAX_ERROR', 400],
    ['SELECT 1; SELECT 2', '62', 'SYNTAX_ERROR', 400],
    ['  -- nothing', '62', 'SYNTAX_ERROR', 400],
    ['SELECT * FROM nowhere', '60', 'UNKNOWN_TABLE', 404],
    ['SELECT * FROM nowhere.t', '81', 'UNKNOWN_DATABASE', 404],
    ['SELECT nocolumn', '47', 'UNKNOWN_IDENTIFIER', 404],
    ['SELECT nofunction(1)', '46', 'UNKNOWN_FUNCTION', 404],
    ['SELECT 1 FORMAT Nonsense', '73', 'UNKNOWN_FORMAT', 404],
    ["SELECT throwIf(1, 'it is')", '395', 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO', 500],
    ["SELECT 1 INTO OUTFILE '/tmp/x'", '62', 'SYNTAX_ERROR', 400],
    ['DROP TABLE nowhere', '60', 'UNKNOWN_TABLE', 404],
  ]
  for (const [sql, code, type, status] of cases) {
    const response = await send('', { body: sql })
    const text = await response.text()
    t.equal(response.status, status, sql)
    t.equal(response.headers.get('x-clickhouse-exception-code'), code, sql)
    t.match(
      text,
      new RegExp(`^Code: ${code}\\. DB::Exception: [^]*\\(${type}\\) \\(version ${front.ready.version}\\)\n$`),
      sql,
    )
    t.notMatch(text, /OUTFILE '\/.*front\/result/, 'no trace of how the result travels')
    t.match(await failureOf(client.command({ query: sql })), { code, type })
  }
})

t.test('GET only reads', async (t) => {
  const get = (query: string) => fetch(`${front.url}/?${new URLSearchParams({ query })}`, { headers: FRONT_HEADERS })
  t.equal(await (await get('SELECT 1')).text(), '1\n')
  t.equal((await get('CREATE DATABASE from_get')).headers.get('x-clickhouse-exception-code'), '164')
})

t.test('the headers tell the query, its format and what it read', async (t) => {
  const result = await client.query({
    query: 'SELECT number FROM numbers(10)',
    format: 'JSONEachRow',
    query_id: 'my-id',
  })
  await result.text()
  t.match(result, { query_id: 'my-id' })
  t.match(result.response_headers, {
    'x-clickhouse-query-id': 'my-id',
    'x-clickhouse-format': 'JSONEachRow',
    'x-clickhouse-timezone': 'UTC',
    'x-clickhouse-server-display-name': String,
  })
  const summary = JSON.parse(String(result.response_headers['x-clickhouse-summary'])) as Record<string, string>
  t.match(summary, { read_rows: /^10$/, written_rows: /^0$/, elapsed_ns: /^\d+$/ })
  t.strictSame(await rowsOf(client, 'SELECT timezone() AS zone'), [{ zone: 'UTC' }])
})
