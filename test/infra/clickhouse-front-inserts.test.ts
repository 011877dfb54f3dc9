import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { ClickHouseError } from '@clickhouse/client'
import t from 'tap'
import { FRONT_ENVIRONMENT, residentBytes, rowsOf, startFront, until } from '../helpers/clickhouse-front.ts'

const front = await startFront(t)
const admin = front.client()
await admin.command({ query: 'CREATE DATABASE IF NOT EXISTS inserts' })
t.strictSame(await rowsOf(admin, "SELECT engine FROM system.databases WHERE name = 'inserts'"), [{ engine: 'Atomic' }])
const client = front.client({ database: 'inserts' })
const headers = {
  'X-ClickHouse-User': FRONT_ENVIRONMENT.CLICKHOUSE_FRONT_USER,
  'X-ClickHouse-Key': FRONT_ENVIRONMENT.CLICKHOUSE_FRONT_PASSWORD,
}
let tables = 0

async function makeTable(columns = 'id UInt64, name String'): Promise<string> {
  tables += 1
  const query = `CREATE TABLE t${tables} (${columns}) ENGINE = MergeTree ORDER BY id
    SETTINGS non_replicated_deduplication_window = 100, fsync_after_insert = 1, fsync_part_directory = 1`
  await client.command({ query })
  return `t${tables}`
}

async function contentOf(table: string): Promise<string> {
  const query = `SELECT * FROM ${table} ORDER BY ALL`
  return (await client.query({ query, format: 'JSONCompactEachRow' })).text()
}

function send(query: string, body: Buffer | string | undefined, more: Record<string, string> = {}) {
  const search = new URLSearchParams({ database: 'inserts', query })
  const bytes = typeof body === 'string' ? body : body && new Uint8Array(body)
  return fetch(`${front.url}/?${search}`, { method: 'POST', body: bytes, headers: { ...headers, ...more } })
}

function rows(from: number, count: number, bytes = 10): Buffer {
  const name = 'x'.repeat(bytes)
  return Buffer.from(Array.from({ length: count }, (_, i) => `{"id":${from + i},"name":"${name}"}\n`).join(''))
}

async function insertBytes(table: string, bytes: Buffer, settings = 'async_insert=0') {
  const query = `INSERT INTO inserts.${table} (id, name) SETTINGS ${settings} FORMAT JSONEachRow`
  const { stream, summary } = await client.exec({ query, values: Readable.from([bytes], { objectMode: false }) })
  await once(stream.resume(), 'end')
  return summary
}

t.test('rows arrive whole from objects, from a stream and from bytes, and the summary counts them', async (t) => {
  const table = await makeTable()
  const awkward = 'it\'s "a" \\ tab\t line\n\n;\nü 漢 😀 -- /* */ \u0000'
  const values = [{ id: 1, name: awkward }]
  const fromObjects = await client.insert({ table, values, format: 'JSONEachRow' })
  t.match(fromObjects.summary, { written_rows: '1', read_rows: '1', written_bytes: /^[1-9]/ })
  const stream = Readable.from([
    { id: 2, name: awkward },
    { id: 3, name: '' },
  ])
  t.match((await client.insert({ table, values: stream, format: 'JSONEachRow' })).summary, { written_rows: '2' })
  t.match(await insertBytes(table, rows(4, 1)), { written_rows: '1' })
  const expected = [
    [1, awkward],
    [2, awkward],
    [3, ''],
    [4, 'xxxxxxxxxx'],
  ]
  const stored = (await contentOf(table)).trimEnd().split('\n')
  t.strictSame(
    stored.map((line) => JSON.parse(line) as unknown),
    expected,
  )
})

t.test('every way to write an INSERT stores the same rows', async (t) => {
  const expected = '[1, "a;b"]\n[2, "c"]\n'
  const ways: [query: string, body?: Buffer | string][] = [
    ["INSERT INTO $ VALUES (1, 'a;b'), (2, 'c')"],
    ["INSERT INTO inserts.$ (id, name) VALUES (1, concat('a', ';', 'b')), (1 + 1, 'c');"],
    ['INSERT INTO $ VALUES', "(1, 'a;b'),\n\n(2, 'c')"],
    [
      'insert into $ (id, name) settings max_threads = 1 format JSONEachRow',
      '{"id":1,"name":"a;b"}\n\n\n{"id":2,"name":"c"}',
    ],
    ['INSERT INTO TABLE $ -- FORMAT CSV\nFORMAT JSONCompactEachRow', '[1,"a;b"]\n[2,"c"]'],
    ['INSERT INTO $ FORMAT CSV', '1,"a;b"\n2,c\n'],
    ['INSERT INTO $ FORMAT TabSeparated', '1\ta;b\n2\tc\n'],
    [
      'INSERT INTO $ FORMAT RowBinary',
      Buffer.from('0100000000000000 03613b62 0200000000000000 0163'.replaceAll(' ', ''), 'hex'),
    ],
    ["INSERT INTO $ SELECT 1, 'a;b' UNION ALL SELECT 2, 'c'"],
    ["INSERT INTO $ WITH 2 AS two SELECT number + 1, ['a;b', 'c'][number + 1] FROM numbers(two)"],
  ]
  for (const [query, body] of ways) {
    const table = await makeTable()
    const statement = query.replace('$', table)
    const response = await send(statement, body)
    t.equal(response.status, 200, `${query}: ${await response.text()}`)
    t.equal(await contentOf(table), expected, query)
    await client.command({ query: `TRUNCATE TABLE ${table}` })
    const whole = Buffer.concat([Buffer.from(`${statement}\n`), Buffer.from(body ?? '')])
    t.equal((await send('', whole)).status, 200, `${query}, all in the body`)
    t.equal(await contentOf(table), expected, query)
  }
  await client.command({ query: 'CREATE TABLE `settings` (`format` UInt8, `values` UInt8) ENGINE = Memory' })
  await client.command({ query: 'INSERT INTO settings (format, values) VALUES (1, 2)' })
  await client.insert({ table: 'inserts.settings', values: [{ format: 3, values: 4 }], format: 'JSONEachRow' })
  t.equal(await contentOf('settings'), '[1, 2]\n[3, 4]\n')
  const empty = await makeTable()
  t.equal((await send(`INSERT INTO ${empty} FORMAT JSONEachRow`, '')).status, 200, 'no rows are no failure')
})

t.test('rows are never run as statements', async (t) => {
  const victim = await makeTable()
  const attacks: [format: string, rows: string][] = [
    ['JSONEachRow', `{"id":1,"name":"a"}\n\nDROP TABLE inserts.${victim}`],
    ['JSONEachRow', `{"id":1,"name":"a"};\nDROP TABLE inserts.${victim}`],
    ['JSONEachRow', `\n\n;DROP TABLE inserts.${victim}\n`],
    ['CSV', `1,a\n\n\nDROP TABLE inserts.${victim}\n`],
    ['Values', `(1,'a');\n\nDROP TABLE inserts.${victim}`],
  ]
  for (const [format, body] of attacks) {
    const table = await makeTable()
    await (await send(`INSERT INTO ${table} FORMAT ${format}`, body)).text()
    await (await send('', `INSERT INTO ${table} FORMAT ${format}\n${body}`)).text()
    t.strictSame(await rowsOf(client, `EXISTS TABLE ${victim}`), [{ result: 1 }], body)
  }
})

t.test('an equal token drops a repeated insert, and no token reaches the next one', async (t) => {
  const table = await makeTable()
  const insert = (id: number, token?: string) =>
    client.insert({
      table,
      values: [{ id, name: 'a' }],
      format: 'JSONEachRow',
      clickhouse_settings: token ? { insert_deduplication_token: token, insert_deduplicate: 1 } : {},
    })
  await insert(1, 'first')
  await insert(2)
  await insert(3)
  t.equal(await contentOf(table), '[1, "a"]\n[2, "a"]\n[3, "a"]\n', 'the token did not stick')
  await insert(4, 'first')
  t.equal(await contentOf(table), '[1, "a"]\n[2, "a"]\n[3, "a"]\n', 'the token was known')
  await t.rejects(send(`INSERT INTO ${table} FORMAT JSONEachRow`, 'nonsense').then(expectSuccess))
  const bad = { values: [{ id: 'nonsense' }], format: 'JSONEachRow', table } as const
  await t.rejects(client.insert({ ...bad, clickhouse_settings: { insert_deduplication_token: 'failed' } }))
  await insert(5)
  await insert(6, 'failed')
  t.equal((await contentOf(table)).split('\n').length - 1, 5, 'a failed insert leaves no token, in the table or behind')
  await Promise.all(Array.from({ length: 40 }, (_, i) => insert(100 + i, i % 2 ? `even ${i}` : undefined)))
  t.equal((await contentOf(table)).split('\n').length - 1, 45, 'nor do inserts at the same time share one')
  await insertBytes(
    table,
    rows(200, 1),
    "insert_deduplicate=1, insert_deduplication_token='in statement', async_insert=0",
  )
  await insertBytes(
    table,
    rows(201, 1),
    "insert_deduplicate=1, insert_deduplication_token='in statement', async_insert=0",
  )
  await insertBytes(table, rows(202, 1))
  t.match(await contentOf(table), /\[200, .*\n\[202, /)
})

async function expectSuccess(response: Response) {
  if (!response.ok) throw new Error(await response.text())
}

t.test('an insert is stored whole, as one part, or not at all', async (t) => {
  const table = await makeTable()
  const partsOf = () =>
    rowsOf(
      client,
      'SELECT rows FROM system.parts WHERE active AND database = currentDatabase() AND table = {table:String}',
      {
        query_params: { table },
      },
    )
  const many = rows(0, 1_200_000, 1)
  const broken = Buffer.concat([many, Buffer.from('{"id":"nonsense"}\n')])
  await t.rejects(insertBytes(table, broken), { code: '27' })
  const truncated = await send(`INSERT INTO ${table} FORMAT JSONEachRow`, many.subarray(0, many.length - 10))
  t.equal(truncated.status, 400)
  t.strictSame(await partsOf(), [])
  await insertBytes(table, many)
  t.strictSame(await partsOf(), [{ rows: 1_200_000 }])
})

t.test('a failing insert says why and names no file', async (t) => {
  const table = await makeTable()
  const cases: [query: string, body: string, code: string, type: string][] = [
    [`INSERT INTO ${table} FORMAT JSONEachRow`, '{"id":"x"}', '27', 'CANNOT_PARSE_INPUT_ASSERTION_FAILED'],
    ['INSERT INTO nowhere FORMAT JSONEachRow', '{"id":1}', '60', 'UNKNOWN_TABLE'],
    [`INSERT INTO ${table} (nocolumn) FORMAT JSONEachRow`, '{"id":1}', '16', 'NO_SUCH_COLUMN_IN_TABLE'],
    [`INSERT INTO ${table} FORMAT Nonsense`, '{"id":1}', '73', 'UNKNOWN_FORMAT'],
    [`INSERT INTO ${table} FROM INFILE '/etc/passwd' FORMAT CSV`, '', '62', 'SYNTAX_ERROR'],
    [`INSERT INTO ${table} SELECT 1, 'a'; DROP TABLE ${table}`, '', '62', 'SYNTAX_ERROR'],
    [`INSERT INTO ${table} SELECT throwIf(1), ''`, '', '395', 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO'],
  ]
  for (const [query, body, code, type] of cases) {
    const values = Readable.from([Buffer.from(body)], { objectMode: false })
    const failure = await client.exec({ query, values }).catch((error: unknown) => error)
    t.type(failure, ClickHouseError)
    t.match(failure, { code, type }, query)
    t.notMatch(String(failure), front.dataDir)
  }
  t.equal(await contentOf(table), '')
})

t.test('a compressed body is the body it was', async (t) => {
  const table = await makeTable()
  const query = `INSERT INTO ${table} FORMAT JSONEachRow`
  const encodings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }
  let id = 0
  for (const [encoding, compress] of Object.entries(encodings)) {
    id += 1
    const response = await send(query, compress(rows(id, 1)), { 'Content-Encoding': encoding })
    t.equal(response.status, 200, `${encoding}: ${await response.text()}`)
  }
  const compressed = front.client({ database: 'inserts', compression: { request: true, response: true } })
  await compressed.insert({ table, values: [{ id: 5, name: 'xxxxxxxxxx' }], format: 'JSONEachRow' })
  t.equal((await contentOf(table)).split('\n').length - 1, 5)
  const garbage = await send(query, 'not gzip', { 'Content-Encoding': 'gzip' })
  t.match(await garbage.text(), /CANNOT_DECOMPRESS/)
  t.equal((await send(query, 'x', { 'Content-Encoding': 'nonsense' })).status, 501)
})

t.test('a body over the limit is refused, compressed or not, and leaves nothing behind', async (t) => {
  const table = await makeTable()
  const query = `INSERT INTO ${table} FORMAT JSONEachRow`
  const large = rows(0, 90_000, 800)
  for (const [body, encoding] of [
    [large, {}],
    [gzipSync(large), { 'Content-Encoding': 'gzip' }],
  ] as const) {
    const response = await send(query, body, encoding)
    t.equal(response.status, 413)
    t.match(await response.text(), /^Code: 307\. .*67108864 bytes.*\(TOO_MANY_BYTES\)/)
  }
  t.equal(await contentOf(table), '')
  t.strictSame(spooled(), [])
})

function spooled(): string[] {
  return readdirSync(join(front.dataDir, 'front')).filter((name) => name.startsWith('insert-'))
}

t.test('an insert whose sender goes away in the middle stores nothing', async (t) => {
  const table = await makeTable()
  const search = new URLSearchParams({ database: 'inserts', query: `INSERT INTO ${table} FORMAT JSONEachRow` })
  const call = request(`${front.url}/?${search}`, { method: 'POST', headers })
  call.on('error', () => {
    // The test breaks this connection itself.
  })
  call.write(rows(0, 1000))
  await until('rows arrive', () => spooled().length === 1)
  call.destroy()
  await until('the front has given up', () => spooled().length === 0)
  t.equal(await contentOf(table), '')
})

t.test('reads go on while inserts run, and see each insert whole', async (t) => {
  const table = await makeTable()
  const batch = 20_000
  let isInserting = true
  const inserting = (async () => {
    for (let i = 0; i < 10; i++) await insertBytes(table, rows(i * batch, batch, 300))
    isInserting = false
  })()
  const seen: number[] = []
  while (isInserting) {
    const [row] = await rowsOf<{ n: number }>(client, `SELECT count() AS n FROM ${table}`)
    seen.push(row?.n ?? -1)
  }
  await inserting
  t.ok(seen.length > 5, `${seen.length} reads were answered`)
  t.strictSame(
    seen.filter((n) => n % batch !== 0),
    [],
  )
  t.strictSame(await rowsOf(client, `SELECT count() AS n FROM ${table}`), [{ n: 10 * batch }])
})

t.test('readers that stop reading never hold up an insert', async (t) => {
  const table = await makeTable()
  const query = 'SELECT number FROM numbers(1000000000000)'
  const stuck = await Promise.all(Array.from({ length: 4 }, () => client.query({ query, format: 'JSONEachRow' })))
  await insertBytes(table, rows(0, 1))
  for (const result of stuck) result.close()
  t.strictSame(await rowsOf(client, `SELECT count() AS n FROM ${table}`), [{ n: 1 }], 'and reads go on after them')
})

t.test('a hundred megabytes of inserts leave memory as it was before the last half', async (t) => {
  const table = await makeTable()
  const batch = rows(0, 20_000, 370)
  const insertHalf = async (half: string) => {
    for (let i = 0; i < 7; i++) await insertBytes(table, batch, `insert_deduplication_token='${half} ${i}'`)
    return residentBytes(front.ready.pid)
  }
  const before = await insertHalf('first')
  const grownMb = Math.round(((await insertHalf('second')) - before) / 1e6)
  t.ok(grownMb < 150, `grew by ${grownMb} MB`)
})
